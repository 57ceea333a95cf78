package io.tercel.kernels.testing;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A byte-level tokenizer as small as one can be: byte b is token b, then come the special tokens.
 * There are no merges.
 */
public final class TinyTokenizer {
  /** Ids from 256 on; the last four are added but not special, as in Qwen3. */
  public static final List<String> ADDED =
      List.of(
          "<|endoftext|>",
          "<|im_start|>",
          "<|im_end|>",
          "<think>",
          "</think>",
          "<tool_call>",
          "</tool_call>");

  private static final int FIRST_PLAIN = ADDED.indexOf("<think>");

  public static final int END_OF_TEXT = 256;
  public static final int IM_START = 257;
  public static final int IM_END = 258;
  public static final int THINK = 259;
  public static final int END_THINK = 260;

  /** The least vocabulary that holds them all. */
  public static final int SIZE = 256 + ADDED.size();

  private static final String TEMPLATE =
      """
      {%- for message in messages -%}
      {{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
      {%- endfor -%}
      {%- if add_generation_prompt -%}
      {{ '<|im_start|>assistant\\n' }}
      {%- if enable_thinking is defined and enable_thinking is false -%}
      {{ '<think>\\n\\n</think>\\n\\n' }}
      {%- endif -%}
      {%- endif -%}
      """;

  private static final ObjectMapper JSON = new ObjectMapper();

  private TinyTokenizer() {}

  /** Writes tokenizer.json and tokenizer_config.json. */
  public static void write(Path directory) {
    try {
      Files.writeString(directory.resolve("tokenizer.json"), tokenizer().toString());
      Files.writeString(directory.resolve("tokenizer_config.json"), config().toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ObjectNode tokenizer() {
    ObjectNode root = JSON.createObjectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (int i = 0; i < ADDED.size(); i++) {
      added
          .addObject()
          .put("id", 256 + i)
          .put("content", ADDED.get(i))
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", i < FIRST_PLAIN);
    }
    root.putNull("normalizer");
    byteLevel(root.putObject("pre_tokenizer"));
    root.putNull("post_processor");
    byteLevel(root.putObject("decoder"));
    ObjectNode model = root.putObject("model").put("type", "BPE").putNull("dropout");
    model.putNull("unk_token").putNull("continuing_subword_prefix");
    model.putNull("end_of_word_suffix").put("fuse_unk", false).put("byte_fallback", false);
    ObjectNode vocab = model.putObject("vocab");
    for (int b = 0, extra = 256; b < 256; b++) {
      // GPT-2's alphabet: printable bytes are themselves, the others move up past 255
      boolean printable = b > 32 && b < 127 || b > 160 && b != 173;
      vocab.put(String.valueOf((char) (printable ? b : extra++)), b);
    }
    model.putArray("merges");
    return root;
  }

  private static void byteLevel(ObjectNode node) {
    node.put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", false)
        .put("use_regex", false);
  }

  private static ObjectNode config() {
    return JSON.createObjectNode()
        .put("tokenizer_class", "PreTrainedTokenizerFast")
        .putNull("bos_token")
        .put("eos_token", "<|im_end|>")
        .put("pad_token", "<|endoftext|>")
        .put("add_bos_token", false)
        .put("model_max_length", 4096)
        .put("chat_template", TEMPLATE.strip());
  }
}
