package io.tercel.trainer.eval.code;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/**
 * Reads the pickle of one Python string, and nothing else: what else a pickle may hold are
 * instructions, which are refused and not followed.
 */
final class PickledText {
  private static final int MAX_BYTES = 1 << 29;

  private static final int PROTO = 0x80;
  private static final int FRAME = 0x95;
  private static final int SHORT_BINUNICODE = 0x8c;
  private static final int BINUNICODE = 'X';
  private static final int BINUNICODE8 = 0x8d;
  private static final int MEMOIZE = 0x94;
  private static final int BINPUT = 'q';
  private static final int LONG_BINPUT = 'r';
  private static final int STOP = '.';

  private PickledText() {}

  /**
   * The string.
   *
   * @throws IOException if it is something else, cut off, or over half a GiB
   */
  static String read(InputStream pickle) throws IOException {
    DataInputStream in = new DataInputStream(pickle);
    String text = null;
    while (true) {
      int opcode = in.readUnsignedByte();
      switch (opcode) {
        case PROTO, BINPUT -> skip(in, 1);
        case FRAME -> skip(in, 8);
        case LONG_BINPUT -> skip(in, 4);
        case MEMOIZE -> {}
        case SHORT_BINUNICODE -> text = once(text, in, in.readUnsignedByte());
        case BINUNICODE ->
            text = once(text, in, Integer.toUnsignedLong(Integer.reverseBytes(in.readInt())));
        case BINUNICODE8 -> text = once(text, in, Long.reverseBytes(in.readLong()));
        case STOP -> {
          if (text == null) {
            throw new IOException("a pickle of nothing");
          }
          return text;
        }
        default ->
            throw new IOException(
                "a pickle of something else than one text (opcode 0x%02x)".formatted(opcode));
      }
    }
  }

  private static void skip(DataInputStream in, int bytes) throws IOException {
    in.skipNBytes(bytes);
  }

  private static String once(
      @org.jspecify.annotations.Nullable String before, DataInputStream in, long length)
      throws IOException {
    if (before != null) {
      throw new IOException("a pickle of more than one text");
    }
    if (length < 0 || length > MAX_BYTES) {
      throw new IOException("a pickled text of " + length + " bytes");
    }
    byte[] bytes = in.readNBytes((int) length);
    if (bytes.length < length) {
      throw new EOFException("a pickle that is cut off");
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
