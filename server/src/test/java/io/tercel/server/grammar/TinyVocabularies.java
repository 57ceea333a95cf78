package io.tercel.server.grammar;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;

/** Vocabularies to try forms with: all bytes, an end token, and pieces of JSON. */
final class TinyVocabularies {
  static final int END = 256;

  private static final String[] PIECES = {
    "{\"",
    "\":",
    "\": ",
    "\",",
    "\", \"",
    "\"}",
    "\"}}",
    "}}",
    "}]}",
    "]]",
    "[[",
    "[{\"",
    "},{",
    "true",
    "false",
    "null",
    "tr",
    "ue",
    "12",
    "-1",
    "0.",
    "e1",
    "1,",
    "a",
    "ab",
    "abc",
    "name",
    "\"name",
    "\"a\"",
    " \"",
    "\n  ",
    "\n    ",
    "\n\n",
    "  ",
    "é",
    "漢字",
    "🦅",
    "x\"",
    "\\n",
    "\\\"",
    "\\u00",
    "the quick brown fox jumps",
    "<tool_call>",
    "</tool_call>",
    "\n<tool",
    "yes",
    "no",
    "2024-",
    "-0",
    "T1"
  };

  private TinyVocabularies() {}

  /** The bytes themselves are ids 0 to 255; {@link #END} ends; then come longer tokens. */
  static byte[][] pieces() {
    List<byte[]> all = new ArrayList<>();
    for (int b = 0; b < 256; b++) {
      all.add(new byte[] {(byte) b});
    }
    all.add(new byte[0]);
    for (String piece : PIECES) {
      all.add(piece.getBytes(StandardCharsets.UTF_8));
    }
    Random random = new Random(5);
    byte[] eagle = "🦅é".getBytes(StandardCharsets.UTF_8);
    all.add(new byte[] {eagle[0], eagle[1]});
    all.add(new byte[] {eagle[2], eagle[3], eagle[4]});
    all.add(new byte[] {'a', eagle[0]});
    for (int i = 0; i < 300; i++) {
      String letters = "ab{}[]\",: \n01e-\\u";
      StringBuilder text = new StringBuilder();
      for (int k = random.nextInt(4); k >= 0; k--) {
        text.append(letters.charAt(random.nextInt(letters.length())));
      }
      all.add(text.toString().getBytes(StandardCharsets.UTF_8));
    }
    return all.toArray(byte[][]::new);
  }

  /** Printable ASCII and line breaks alone, and words: no byte of anything else. */
  static byte[][] ascii() {
    byte[][] all = pieces();
    for (int b = 0; b < 256; b++) {
      if (b >= 0x7F || (b < 0x20 && b != '\n')) {
        all[b] = new byte[0];
      }
    }
    return all;
  }

  static TokenAutomaton automaton(Form form, byte[][] texts) {
    return automaton(form.compile(), texts, form.path());
  }

  static TokenAutomaton automaton(Grammar grammar, byte[][] texts, String path) {
    TokenTrie trie = new TokenTrie(texts.length, id -> texts[id]);
    return new TokenAutomaton(grammar, trie, texts, Set.of(END), path);
  }

  static boolean allows(long[] mask, int id) {
    return id >> 6 < mask.length && (mask[id >> 6] >>> id & 1) != 0;
  }

  /** Whether the whole text has the form. */
  static boolean accepts(TokenAutomaton automaton, String text) {
    TokenAutomaton.Position position = automaton.start();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      if (!allows(position.allowed(), b & 0xff)) {
        return false;
      }
      position.accept(b & 0xff);
    }
    return position.mayEnd();
  }
}
