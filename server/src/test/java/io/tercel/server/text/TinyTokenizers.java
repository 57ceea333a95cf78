package io.tercel.server.text;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes small tokenizer.json files of the kinds that models have. */
final class TinyTokenizers {
  /** How many ids {@link #byteLevel} has, added tokens included. */
  static final int BYTE_LEVEL_SIZE = 256 + 13 + 5;

  private TinyTokenizers() {}

  /** Byte-level BPE as Qwen has: 256 bytes, merges that cut through characters, added tokens. */
  static Tokenizer byteLevel(Path dir) throws IOException {
    Map<String, Integer> vocab = new LinkedHashMap<>();
    for (int b = 0; b < 256; b++) {
      vocab.put(spell(new byte[] {(byte) b}), b);
    }
    // Pairs to merge: within a two-byte letter, the first halves of emoji, a letter with a half.
    byte[] eagle = "🦅".getBytes(StandardCharsets.UTF_8);
    byte[] accent = "é".getBytes(StandardCharsets.UTF_8);
    byte[] han = "漢".getBytes(StandardCharsets.UTF_8);
    List<List<String>> merges = new ArrayList<>();
    merge(merges, vocab, part(eagle, 0, 1), part(eagle, 1, 2));
    merge(merges, vocab, part(eagle, 2, 3), part(eagle, 3, 4));
    merge(merges, vocab, part(eagle, 0, 2), part(eagle, 2, 4));
    merge(merges, vocab, part(accent, 0, 1), part(accent, 1, 2));
    merge(merges, vocab, new byte[] {'x'}, part(han, 0, 1));
    merge(merges, vocab, part(han, 1, 2), part(han, 2, 3));
    merge(merges, vocab, part(han, 1, 3), part(eagle, 0, 2));
    merge(merges, vocab, bytes("t"), bytes("h"));
    merge(merges, vocab, bytes("th"), bytes("e"));
    merge(merges, vocab, bytes(" "), bytes("the"));
    merge(merges, vocab, bytes("\n"), bytes("\n"));
    merge(merges, vocab, bytes("<"), bytes("t"));
    merge(merges, vocab, bytes("<"), bytes("/"));
    List<Map<String, Object>> added = new ArrayList<>();
    int next = vocab.size();
    for (String token : List.of("<|end|>", "<|im_start|>", "<think>", "</think>", "<｜User｜>")) {
      added.add(added(next++, token, token.contains("|") || token.contains("｜")));
    }
    Map<String, Object> level =
        Map.of(
            "type",
            "ByteLevel",
            "add_prefix_space",
            false,
            "trim_offsets",
            false,
            "use_regex",
            false);
    return write(
        dir,
        added,
        level,
        level,
        Map.of("type", "BPE", "vocab", vocab, "merges", merges),
        Map.of(
            "type", "TemplateProcessing",
            "single",
                List.of(
                    Map.of("SpecialToken", Map.of("id", "<|im_start|>", "type_id", 0)),
                    Map.of("Sequence", Map.of("id", "A", "type_id", 0))),
            "pair", List.of(Map.of("Sequence", Map.of("id", "A", "type_id", 0))),
            "special_tokens",
                Map.of(
                    "<|im_start|>",
                    Map.of(
                        "id", "<|im_start|>",
                        "ids", List.of(vocab.size() + 1),
                        "tokens", List.of("<|im_start|>")))));
  }

  /** Whole words, fused: the kind of the tiny test models. */
  static Tokenizer wordLevel(Path dir) throws IOException {
    return write(
        dir,
        List.of(added(0, "<pad>", true), added(1, "<think>", false), added(2, "</think>", false)),
        Map.of(
            "type",
            "Split",
            "pattern",
            Map.of("Regex", "\\ has|Tom|é🦅|[\\s\\S]"),
            "behavior",
            "Isolated",
            "invert",
            false),
        Map.of("type", "Fuse"),
        Map.of(
            "type", "WordLevel",
            "vocab",
                Map.of(
                    "<pad>", 0, "<think>", 1, "</think>", 2, "Tom", 3, " has", 4, "é🦅", 5, "?", 6),
            "unk_token", "?"),
        null);
  }

  /** SentencePiece's kind: blanks as a mark, bytes for rare characters, one blank off the start. */
  static Tokenizer sentencePiece(Path dir) throws IOException {
    Map<String, Integer> vocab = new LinkedHashMap<>();
    vocab.put("<unk>", 0);
    for (int b = 0; b < 256; b++) {
      vocab.put(String.format("<0x%02X>", b), vocab.size());
    }
    for (String piece :
        List.of("\u2581", "\u2581the", "a", "b", "\u2581a", "é", "ing", "\u2581\u2581")) {
      vocab.put(piece, vocab.size());
    }
    return write(
        dir,
        List.of(added(0, "<unk>", true)),
        null,
        Map.of(
            "type",
            "Sequence",
            "decoders",
            List.of(
                Map.of("type", "Replace", "pattern", Map.of("String", "\u2581"), "content", " "),
                Map.of("type", "ByteFallback"),
                Map.of("type", "Fuse"),
                Map.of("type", "Strip", "content", " ", "start", 1, "stop", 0))),
        Map.of(
            "type",
            "BPE",
            "vocab",
            vocab,
            "merges",
            List.of(),
            "unk_token",
            "<unk>",
            "byte_fallback",
            true),
        null);
  }

  private static Tokenizer write(
      Path dir,
      List<Map<String, Object>> added,
      @Nullable Object preTokenizer,
      Object decoder,
      Object model,
      @Nullable Object postProcessor)
      throws IOException {
    Map<String, Object> file = new LinkedHashMap<>();
    file.put("version", "1.0");
    file.put("added_tokens", added);
    if (preTokenizer != null) {
      file.put("pre_tokenizer", preTokenizer);
    }
    if (postProcessor != null) {
      file.put("post_processor", postProcessor);
    }
    file.put("decoder", decoder);
    file.put("model", model);
    Files.write(dir.resolve("tokenizer.json"), new ObjectMapper().writeValueAsBytes(file));
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

  private static void merge(
      List<List<String>> merges, Map<String, Integer> vocab, byte[] left, byte[] right) {
    String a = spell(left);
    String b = spell(right);
    merges.add(List.of(a, b));
    vocab.put(a + b, vocab.size());
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] part(byte[] bytes, int from, int to) {
    return Arrays.copyOfRange(bytes, from, to);
  }

  /** GPT-2's spelling of bytes, written here a second time so that the test has its own. */
  private static String spell(byte[] bytes) {
    StringBuilder out = new StringBuilder();
    for (byte value : bytes) {
      int b = value & 0xff;
      if (b <= 32) {
        out.append((char) (256 + b));
      } else if (b >= 127 && b <= 160) {
        out.append((char) (256 + 33 + b - 127));
      } else {
        out.append((char) (b == 173 ? 256 + 67 : b));
      }
    }
    return out.toString();
  }
}
