package io.tercel.server.log;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A file that is appended to. One that was moved away is begun anew under its name, as logrotate
 * wants it; one that was cut to nothing goes on there. Used by one thread.
 */
final class LogFile implements LogSink {
  private final Path path;
  private @Nullable OutputStream out;
  private @Nullable Object key;
  private boolean torn;

  LogFile(Path path) throws IOException {
    this.path = path;
    open();
  }

  private OutputStream open() throws IOException {
    OutputStream opened =
        Files.newOutputStream(
            path, StandardOpenOption.CREATE, StandardOpenOption.APPEND, StandardOpenOption.WRITE);
    out = opened;
    key = key();
    return opened;
  }

  /** Which file it is, whatever its name; null where there is none of that name. */
  private @Nullable Object key() throws IOException {
    try {
      return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  @Override
  public void write(byte[] lines) throws IOException {
    OutputStream now = out;
    if (now == null || !Objects.equals(key, key())) {
      close();
      now = open();
      torn = false;
    }
    if (torn) {
      now.write('\n'); // half a line stands there; it must not spoil the next one too
      torn = false;
    }
    try {
      now.write(lines);
    } catch (IOException e) {
      torn = true;
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    OutputStream last = out;
    out = null;
    if (last != null) {
      last.close();
    }
  }
}
