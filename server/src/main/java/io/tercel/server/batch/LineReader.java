package io.tercel.server.batch;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The lines of a file as bytes, one at a time. Used by one thread. */
final class LineReader implements AutoCloseable {
  private final InputStream in;
  private long offset;
  private boolean ended;

  LineReader(Path file) throws IOException {
    this.in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
  }

  /** The next line without its end; null where there is none. */
  byte @Nullable [] next() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    ended = false;
    int b;
    while ((b = in.read()) >= 0) {
      offset++;
      if (b == '\n') {
        ended = true;
        return line.toByteArray();
      }
      line.write(b);
    }
    return line.size() == 0 ? null : line.toByteArray();
  }

  /** Whether the line that came last has its end, and was not cut. */
  boolean ended() {
    return ended;
  }

  /** Bytes of all that came. */
  long offset() {
    return offset;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
