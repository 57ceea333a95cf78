package io.tercel.server.grammar;

/** How characters are bytes: RFC 3629, table 3-7 of the Unicode standard. */
final class Utf8 {
  private static final int[] LAST_OF_LENGTH = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};

  private Utf8() {}

  /** The bytes of one character. */
  static byte[] encode(int c) {
    if (c < 0x80) {
      return new byte[] {(byte) c};
    }
    int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    byte[] bytes = new byte[length];
    int rest = c;
    for (int i = length - 1; i > 0; i--) {
      bytes[i] = (byte) (0x80 | (rest & 0x3F));
      rest >>= 6;
    }
    bytes[0] = (byte) ((0xF00 >> length & 0xFF) | rest);
    return bytes;
  }

  /** Adds edges that read any character of [low, high]; halves of surrogate pairs are left out. */
  static void range(Nfa nfa, int from, int low, int high, int to) {
    if (low <= 0xDFFF && high >= 0xD800) {
      range(nfa, from, low, Math.min(high, 0xD7FF), to);
      range(nfa, from, Math.max(low, 0xE000), high, to);
      return;
    }
    int start = low;
    for (int last : LAST_OF_LENGTH) {
      if (start <= high && start <= last) {
        sameLength(nfa, from, start, Math.min(high, last), to);
        start = last + 1;
      }
    }
  }

  /** Cuts the range until each byte's range is independent of the others. */
  private static void sameLength(Nfa nfa, int from, int low, int high, int to) {
    byte[] first = encode(low);
    for (int i = 1; i < first.length; i++) {
      int mask = (1 << (6 * i)) - 1;
      if ((low & ~mask) == (high & ~mask)) {
        continue;
      }
      if ((low & mask) != 0) {
        sameLength(nfa, from, low, low | mask, to);
        sameLength(nfa, from, (low | mask) + 1, high, to);
        return;
      }
      if ((high & mask) != mask) {
        sameLength(nfa, from, low, (high & ~mask) - 1, to);
        sameLength(nfa, from, high & ~mask, high, to);
        return;
      }
    }
    byte[] last = encode(high);
    int at = from;
    for (int i = 0; i < first.length; i++) {
      int next = i == first.length - 1 ? to : nfa.node();
      nfa.bytes(at, first[i] & 0xff, last[i] & 0xff, next);
      at = next;
    }
  }

  /**
   * How many characters these bytes are if all are whole and stand for themselves in a JSON string;
   * else 0.
   */
  static int plainChars(byte[] bytes) {
    int chars = 0;
    for (int i = 0; i < bytes.length; chars++) {
      int b = bytes[i] & 0xff;
      int length = b < 0x80 ? 1 : b >= 0xC2 && b < 0xE0 ? 2 : b >= 0xE0 && b < 0xF0 ? 3 : 4;
      boolean stray = (b >= 0x80 && b < 0xC2) || b > 0xF4;
      if (stray || b < 0x20 || b == '"' || b == '\\' || i + length > bytes.length) {
        return 0;
      }
      for (int k = 1; k < length; k++) {
        int c = bytes[i + k] & 0xff;
        int low = k > 1 ? 0x80 : b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
        int high = k > 1 ? 0xBF : b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
        if (c < low || c > high) {
          return 0;
        }
      }
      i += length;
    }
    return chars;
  }
}
