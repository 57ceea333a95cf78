package io.tercel.trainer.files;

import io.tercel.server.UserException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * A JSONL file that is read through once and whose lines are then fetched by their place, so that
 * nothing of it stays in memory. Any number of threads may fetch.
 */
public final class LineFile implements AutoCloseable {
  private static final int BUFFER = 1 << 16;

  /** A longer line is no line of text, and would not fit an array. */
  private static final int MAX_LINE = 1 << 30;

  private final Path path;
  private final FileChannel channel;

  private LineFile(Path path, FileChannel channel) {
    this.path = path;
    this.channel = channel;
  }

  /** Hears of each line that is not blank. */
  public interface Visitor {
    /**
     * One line.
     *
     * @param number from 1
     */
    void line(JsonLine line, Place place, int number);
  }

  /** Where a line's bytes are. */
  public record Place(long offset, int length) {}

  /**
   * Opens a file.
   *
   * @throws UserException if it can't be read, or is no JSONL
   */
  public static LineFile open(Path path) {
    try {
      return new LineFile(path, FileChannel.open(path));
    } catch (NoSuchFileException e) {
      throw new UserException("no such file: " + path, e);
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  /** Reads all lines in order. */
  public void visit(Visitor visitor) {
    byte[] buffer = new byte[BUFFER];
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    long start = 0;
    int number = 1;
    try (InputStream in = Files.newInputStream(path)) {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        int from = 0;
        for (int i = 0; i < count; i++) {
          if (buffer[i] == '\n') {
            line.write(buffer, from, i - from);
            from = i + 1;
            int length = line.size();
            accept(visitor, line, start, number++, false);
            start += length + 1L;
            line.reset();
          }
        }
        line.write(buffer, from, count - from);
        if (line.size() > MAX_LINE) {
          throw new UserException(where(number) + ": a line of more than 1 GiB; is it JSONL?");
        }
      }
      accept(visitor, line, start, number, true);
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  private void accept(
      Visitor visitor, ByteArrayOutputStream line, long start, int number, boolean last) {
    byte[] bytes = line.toByteArray();
    if (isBlank(bytes)) {
      return;
    }
    JsonLine parsed = JsonLine.parse(where(number), bytes, last);
    visitor.line(parsed, new Place(start, bytes.length), number);
  }

  private static boolean isBlank(byte[] bytes) {
    for (byte b : bytes) {
      if (b != ' ' && b != '\t' && b != '\r') {
        return false;
      }
    }
    return true;
  }

  /** The line at a place, as it was found there. */
  public JsonLine line(Place place, int number) {
    ByteBuffer bytes = ByteBuffer.allocate(place.length());
    try {
      while (bytes.hasRemaining()) {
        if (channel.read(bytes, place.offset() + bytes.position()) < 0) {
          throw new UserException(where(number) + ": gone; the file was cut since it was opened");
        }
      }
    } catch (IOException e) {
      throw unreadable(e);
    }
    return JsonLine.parse(where(number), bytes.array(), false);
  }

  /** A line's place as messages name it. */
  public String where(int number) {
    return path + ":" + number;
  }

  private static UserException unreadable(IOException e) {
    return new UserException("can't be read: " + e.getMessage(), e);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw unreadable(e);
    }
  }
}
