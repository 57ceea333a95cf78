package io.tercel.loadtests.client;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;

/** The body of an HTTP message in chunks (RFC 9112, 7.1). */
final class ChunkedInputStream extends InputStream {
  private final InputStream in;
  private long left;
  private boolean first = true;
  private boolean over;

  ChunkedInputStream(InputStream in) {
    this.in = in;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    if (left == 0 && !over) {
      next();
    }
    if (over) {
      return -1;
    }
    int n = in.read(bytes, offset, (int) Math.min(length, left));
    if (n < 0) {
      throw new EOFException("the connection ended in a chunk");
    }
    left -= n;
    return n;
  }

  private void next() throws IOException {
    if (!first && !SlowHttpReader.line(in).isEmpty()) {
      throw new IOException("a chunk is longer than it says");
    }
    first = false;
    String size = SlowHttpReader.line(in).split(";", 2)[0].strip();
    if (!size.matches("[0-9a-fA-F]{1,8}")) {
      throw new IOException("a chunk without a size");
    }
    left = Long.parseLong(size, 16);
    over = left == 0;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
