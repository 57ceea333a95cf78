package io.tercel.server.batch;

import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The requests of a file, one at a time; lines that are blank are none. Used by one thread. */
final class BatchInput implements AutoCloseable {
  private final Path file;
  private final LineReader lines;
  private final BatchDefaults defaults;
  private int number;

  /**
   * Opens it.
   *
   * @throws UserException if it can't be read
   */
  BatchInput(Path file, BatchDefaults defaults) {
    this.file = file;
    this.defaults = defaults;
    try {
      this.lines = new LineReader(file);
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  /** How many requests a file has. */
  static int count(Path file) {
    try (BatchInput input = new BatchInput(file, new BatchDefaults(0, ""))) {
      int count = 0;
      while (input.text() != null) {
        count++;
      }
      return count;
    }
  }

  /** The next request, or what stands in its place; null behind the last. */
  @Nullable BatchLine next() {
    byte[] text = text();
    return text == null ? null : BatchLine.of(number, text, defaults);
  }

  private byte @Nullable [] text() {
    try {
      byte[] line;
      do {
        line = lines.next();
        number++;
      } while (line != null && isBlank(line));
      return line;
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  private static boolean isBlank(byte[] line) {
    for (byte b : line) {
      if (b != ' ' && b != '\t' && b != '\r') {
        return false;
      }
    }
    return true;
  }

  private UserException unreadable(IOException e) {
    return new UserException("--input: " + file + " can't be read: " + e.getMessage(), e);
  }

  @Override
  public void close() {
    try {
      lines.close();
    } catch (IOException e) {
      // All was read that was wanted.
    }
  }
}
