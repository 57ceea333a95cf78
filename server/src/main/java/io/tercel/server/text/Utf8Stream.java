package io.tercel.server.text;

import java.util.Arrays;

/**
 * A lossy UTF-8 decoder for bytes that come in pieces: gives the characters that are complete and
 * keeps the start of one that may yet be.
 *
 * <p>Malformed bytes become U+FFFD, one for each maximal part of a character, as Unicode recommends
 * (chapter 3.9, "U+FFFD Substitution of Maximal Subparts") and the native tokenizer does. The JDK's
 * own decoder gives one for a whole encoded surrogate, so it cannot be used.
 */
final class Utf8Stream {
  private final byte[] pending = new byte[4];
  private int count;

  /** The characters that these bytes complete. */
  String accept(byte[] bytes) {
    StringBuilder out = new StringBuilder(bytes.length);
    for (byte b : bytes) {
      accept(b & 0xff, out);
    }
    return out.toString();
  }

  private void accept(int b, StringBuilder out) {
    if (count > 0) {
      if (continues(b)) {
        pending[count++] = (byte) b;
        if (count == length(pending[0] & 0xff)) {
          out.appendCodePoint(codePoint());
          count = 0;
        }
        return;
      }
      out.append('\ufffd');
      count = 0;
    }
    int length = length(b);
    if (length == 1) {
      out.append((char) b);
    } else if (length == 0) {
      out.append('\ufffd');
    } else {
      pending[count++] = (byte) b;
    }
  }

  /** The end: U+FFFD where a character was left incomplete. */
  String flush() {
    boolean incomplete = count > 0;
    count = 0;
    Arrays.fill(pending, (byte) 0);
    return incomplete ? "\ufffd" : "";
  }

  /** How many bytes a character with this first byte has; 0 where none begins so. */
  private static int length(int first) {
    if (first < 0x80) {
      return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
      return 2;
    }
    return first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  }

  private boolean continues(int b) {
    if (count > 1) {
      return b >= 0x80 && b <= 0xbf;
    }
    // The second byte's range depends on the first: no overlong forms, surrogates, or beyond
    // 10FFFF.
    return switch (pending[0] & 0xff) {
      case 0xe0 -> b >= 0xa0 && b <= 0xbf;
      case 0xed -> b >= 0x80 && b <= 0x9f;
      case 0xf0 -> b >= 0x90 && b <= 0xbf;
      case 0xf4 -> b >= 0x80 && b <= 0x8f;
      default -> b >= 0x80 && b <= 0xbf;
    };
  }

  private int codePoint() {
    int code = pending[0] & (0xff >> (count + 1));
    for (int i = 1; i < count; i++) {
      code = (code << 6) | (pending[i] & 0x3f);
    }
    return code;
  }
}
