package io.tercel.server.batch;

import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The answers of a file, line by line in the requests' order. What a run that was ended has left is
 * kept as far as its lines are whole and answer the requests in their places. Used by one thread.
 */
final class BatchOutput implements AutoCloseable {
  private final Path file;
  private final FileChannel channel;
  private final boolean regular;
  private long end;
  private int lines;

  private BatchOutput(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
    this.regular = Files.isRegularFile(file);
  }

  /**
   * Opens it behind what is there.
   *
   * @param input at its first request; afterwards at the first that is not answered yet
   * @throws UserException if it can't be written, another process writes it, or it answers other
   *     requests
   */
  static BatchOutput resume(Path file, BatchInput input) {
    FileChannel channel = null;
    try {
      channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.WRITE); // not truncated
      BatchOutput output = new BatchOutput(file, channel);
      if (output.regular) { // not a pipe or a device, where nothing can have been left
        output.lock();
        output.keep(input);
        channel.truncate(output.end);
        channel.position(output.end);
      }
      return output;
    } catch (IOException e) {
      close(channel);
      throw new UserException("--output: " + file + " can't be written: " + why(e), e);
    } catch (RuntimeException e) {
      close(channel);
      throw e;
    }
  }

  private void lock() throws IOException {
    try {
      if (channel.tryLock() != null) {
        return;
      }
    } catch (OverlappingFileLockException e) {
      // Said below.
    }
    throw new UserException("--output: another process writes " + file);
  }

  private void keep(BatchInput input) throws IOException {
    try (LineReader before = new LineReader(file)) {
      byte[] line;
      while ((line = before.next()) != null) {
        Map<String, String> texts = before.ended() ? BatchAnswer.texts(line) : null;
        String id = texts == null ? null : texts.get("custom_id");
        if (id == null) {
          if (before.next() == null) {
            return; // cut when the process was ended: answered again
          }
          throw new UserException(
              "--output: line %d of %s is no answer; give another file, or remove it"
                  .formatted(lines + 1, file));
        }
        BatchLine request = input.next();
        if (request == null || !request.customId().equals(id)) {
          throw new UserException(
              "--output: line %d of %s answers '%s', which is not what is asked there%s; give another file, or remove it"
                  .formatted(
                      lines + 1,
                      file,
                      id,
                      request == null ? "" : " ('" + request.customId() + "')"));
        }
        lines++;
        end = before.offset();
      }
    }
  }

  /** Answers that are there. */
  int lines() {
    return lines;
  }

  /**
   * Adds an answer.
   *
   * @throws UserException if there is no room for it; what is whole stays
   */
  void add(byte[] line) {
    try {
      ByteBuffer bytes = ByteBuffer.allocate(line.length + 1).put(line).put((byte) '\n').flip();
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      end += line.length + 1L;
      lines++;
    } catch (IOException e) {
      dropPart();
      throw new UserException(
          "--output: %s can't be written: %s; %d answers are there and stay: make room and run the same command again"
              .formatted(file, why(e), lines),
          e);
    }
  }

  private void dropPart() {
    try {
      if (regular) {
        channel.truncate(end);
      }
    } catch (IOException e) {
      // A cut line is answered again.
    }
  }

  private static String why(IOException e) {
    return e instanceof NoSuchFileException
        ? "there is no such folder"
        : String.valueOf(e.getMessage());
  }

  private static void close(@Nullable FileChannel channel) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      // The reason for closing is thrown.
    }
  }

  /** Forces it to disk. */
  @Override
  public void close() {
    try {
      if (regular) {
        channel.force(true);
      }
      channel.close();
    } catch (IOException e) {
      throw new UserException("--output: " + file + " can't be written: " + why(e), e);
    }
  }

  /** Whether both names are one file. */
  static boolean same(Path one, Path other) {
    try {
      return Files.exists(other) && Files.isSameFile(one, other);
    } catch (IOException e) {
      return false;
    }
  }
}
