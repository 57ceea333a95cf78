package io.tercel.server.testing;

import io.tercel.server.call.Json;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A tokenizer with a token a byte and the usual markers, and a template for it. */
public final class TinyText {
  public static final int IM_START = 256;
  public static final int IM_END = 257;
  public static final int THINK = 258;
  public static final int END_THINK = 259;

  public static final String TEMPLATE =
      """
      {%- if tools %}<|im_start|>tools {{ tools | length }}<|im_end|>
      {% endif -%}
      {%- for m in messages -%}
      {%- if m.content == 'refuse me' %}{{ raise_exception('no such conversation') }}{% endif -%}
      <|im_start|>{{ m.role }}
      {% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{{ m.content }}<|im_end|>
      {% endfor -%}
      {%- if add_generation_prompt %}<|im_start|>assistant
      {% if enable_thinking is defined and enable_thinking is false %}<think>

      </think>

      {% elif start_thinking %}<think>
      {% endif %}{% endif %}""";

  private TinyText() {}

  public static ChatTemplate template() {
    return ChatTemplate.parse(TEMPLATE, Map.of());
  }

  /** Writes the tokenizer's file and opens it. */
  public static Tokenizer tokenizer(Path dir) throws IOException {
    Map<String, Integer> vocab = new LinkedHashMap<>();
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      vocab.put(Character.toString(plain ? b : next++), b);
    }
    List<Map<String, Object>> added = new ArrayList<>();
    added.add(added(IM_START, "<|im_start|>", true));
    added.add(added(IM_END, "<|im_end|>", true));
    added.add(added(THINK, "<think>", false));
    added.add(added(END_THINK, "</think>", false));
    Map<String, Object> model = new LinkedHashMap<>();
    model.put("type", "BPE");
    model.put("vocab", vocab);
    model.put("merges", List.of());
    Map<String, Object> byteLevel =
        Map.of(
            "type",
            "ByteLevel",
            "add_prefix_space",
            false,
            "use_regex",
            false,
            "trim_offsets",
            false);
    Map<String, Object> file = new LinkedHashMap<>();
    file.put("version", "1.0");
    file.put("added_tokens", added);
    file.put("pre_tokenizer", byteLevel);
    file.put("decoder", byteLevel);
    file.put("model", model);
    Files.write(dir.resolve("tokenizer.json"), Json.MAPPER.writeValueAsBytes(file));
    return Tokenizer.open(dir);
  }

  private static Map<String, Object> added(int id, String content, boolean special) {
    Map<String, Object> token = new LinkedHashMap<>();
    token.put("id", id);
    token.put("content", content);
    for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      token.put(flag, false);
    }
    token.put("special", special);
    return token;
  }

  /** The ids of a text, and an end token behind them if it says so. */
  public static int[] ids(String text) {
    List<Integer> ids = new ArrayList<>();
    Map<String, Integer> markers =
        Map.of(
            "<|im_start|>",
            IM_START,
            "<|im_end|>",
            IM_END,
            "<think>",
            THINK,
            "</think>",
            END_THINK);
    for (int i = 0; i < text.length(); ) {
      int at = i;
      var marker = markers.keySet().stream().filter(m -> text.startsWith(m, at)).findFirst();
      if (marker.isPresent()) {
        ids.add(markers.get(marker.get()));
        i += marker.get().length();
      } else {
        int end = text.offsetByCodePoints(i, 1);
        for (byte b : text.substring(i, end).getBytes(StandardCharsets.UTF_8)) {
          ids.add(b & 0xff);
        }
        i = end;
      }
    }
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }
}
