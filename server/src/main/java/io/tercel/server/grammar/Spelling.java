package io.tercel.server.grammar;

import java.nio.charset.StandardCharsets;

/** How a character is written: as it is, or as within a JSON string. */
enum Spelling implements Regex.Letters {
  /** In UTF-8. */
  PLAIN {
    @Override
    public void write(Nfa nfa, int from, CharSet set, int to) {
      for (CharSet.Range r : set.ranges()) {
        Utf8.range(nfa, from, r.first(), r.last(), to);
      }
    }
  },
  /** In UTF-8, escaped only where it must be and by the shortest escape. */
  JSON {
    @Override
    public void write(Nfa nfa, int from, CharSet set, int to) {
      nfa.complexity().work(8L * set.ranges().size()); // as much as what follows
      PLAIN.write(nfa, from, set.and(UNESCAPED), to);
      for (int c = 0; c < 0x20; c++) {
        if (set.contains(c)) {
          escape(nfa, from, c, to);
        }
      }
      for (char c : new char[] {'"', '\\'}) {
        if (set.contains(c)) {
          escape(nfa, from, c, to);
        }
      }
    }

    private void escape(Nfa nfa, int from, int c, int to) {
      String letters = "\b\t\n\f\r\"\\";
      int index = letters.indexOf(c);
      String text =
          index >= 0 ? "\\" + "btnfr\"\\".charAt(index) : "\\u%04x".formatted(c); // 8 -> \b
      byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
      int at = from;
      for (int i = 0; i < bytes.length; i++) {
        int next = i == bytes.length - 1 ? to : nfa.node();
        nfa.bytes(at, bytes[i], bytes[i], next);
        at = next;
      }
    }
  };

  private static final CharSet UNESCAPED =
      CharSet.of(0x20, '"' - 1)
          .or(CharSet.of('"' + 1, '\\' - 1))
          .or(CharSet.of('\\' + 1, CharSet.LAST));
}
