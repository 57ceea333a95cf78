package io.tercel.loadtests.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;

/** Reads no faster than so many bytes a second, evenly, and not beyond a deadline. */
final class PacedInputStream extends InputStream {
  private static final int READS_A_SECOND = 20;

  private final InputStream in;
  private final int bytesPerSecond;
  private final long start = System.nanoTime();
  private final long deadline;
  private long read;

  /**
   * Paces a stream.
   *
   * @param deadline a reading of {@link System#nanoTime}
   */
  PacedInputStream(InputStream in, int bytesPerSecond, long deadline) {
    this.in = in;
    this.bytesPerSecond = bytesPerSecond;
    this.deadline = deadline;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    long due = start + read * 1_000_000_000L / bytesPerSecond;
    long wait = Math.min(due, deadline) - System.nanoTime();
    if (wait > 0) {
      try {
        Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException();
      }
    }
    if (System.nanoTime() >= deadline) {
      throw new SocketTimeoutException();
    }
    int most = Math.max(1, bytesPerSecond / READS_A_SECOND);
    int count = in.read(bytes, offset, Math.min(length, most));
    read += Math.max(0, count);
    return count;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
