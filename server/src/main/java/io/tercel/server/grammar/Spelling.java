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
      int escape = -1;
      for (int i = 0; i < SHORT.length(); i++) {
        if (set.contains(SHORT.charAt(i))) {
          escape = escape < 0 ? backslash(nfa, from) : escape;
          nfa.bytes(escape, LETTERS.charAt(i), LETTERS.charAt(i), to);
        }
      }
      for (int tens = 0; tens < 2; tens++) { // u00 and two digits
        int digit = -1;
        for (int c = 16 * tens; c < 16 * tens + 16; c++) {
          if (set.contains(c) && SHORT.indexOf(c) < 0) {
            escape = escape < 0 ? backslash(nfa, from) : escape;
            digit = digit < 0 ? nfa.literal(escape, ascii("u00" + tens)) : digit;
            int letter = Character.forDigit(c % 16, 16);
            nfa.bytes(digit, letter, letter, to);
          }
        }
      }
    }

    private int backslash(Nfa nfa, int from) {
      return nfa.literal(from, ascii("\\"));
    }

    private byte[] ascii(String text) {
      return text.getBytes(StandardCharsets.US_ASCII);
    }
  };

  /** Characters with an escape of one letter, and the letters. */
  private static final String SHORT = "\b\t\n\f\r\"\\";

  private static final String LETTERS = "btnfr\"\\";

  private static final CharSet UNESCAPED =
      CharSet.of(0x20, '"' - 1)
          .or(CharSet.of('"' + 1, '\\' - 1))
          .or(CharSet.of('\\' + 1, CharSet.LAST));
}
