package io.tercel.trainer.run;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Reads a log that grows: each line once, and a part of it at a time, however long it is. */
public final class LogFollower implements AutoCloseable {
  private static final int PART = 1 << 16;

  private final RandomAccessFile file;
  private long place; // the beginning of the first line that was not read

  private LogFollower(RandomAccessFile file) {
    this.file = file;
  }

  /** Opens a log at its beginning. */
  public static LogFollower open(Path log) throws IOException {
    return new LogFollower(new RandomAccessFile(log.toFile(), "r"));
  }

  /** The next whole lines, without their ends; none where there are none yet. */
  public List<String> next() throws IOException {
    byte[] part = new byte[PART];
    int size = 0;
    int whole = 0;
    while (whole == 0) {
      if (size == part.length) {
        part = Arrays.copyOf(part, 2 * size); // a line that is longer
      }
      file.seek(place + size);
      int read = file.read(part, size, part.length - size);
      if (read < 0) {
        return List.of();
      }
      size += read;
      whole = size;
      while (whole > 0 && part[whole - 1] != '\n') {
        whole--;
      }
    }
    place += whole;
    return new String(part, 0, whole, StandardCharsets.UTF_8).lines().toList();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
