package io.tercel.kernels.format;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * A SHA-256 that is another one as soon as a checkpoint's files are others: over the whole of its
 * JSON files, and of each safetensors file the name, the size, the time of the last change to the
 * nanosecond, the whole header and {@link #SAMPLES} evenly spread pieces of {@link #SAMPLE_BYTES}.
 *
 * <p>Hashing everything would read all that whoever asks wants to save reading. The time alone
 * would miss files that were put back with an old one; header and samples do not, as training
 * changes all of a matrix. What is missed is a file with the same size, time and header that was
 * changed between the samples only.
 */
final class CheckpointFingerprint {
  /** Pieces that are looked at in each file. */
  static final int SAMPLES = 64;

  /** Bytes of a piece. */
  static final int SAMPLE_BYTES = 4096;

  private final MessageDigest digest = sha256();
  private final byte[] piece = new byte[SAMPLE_BYTES];

  private CheckpointFingerprint() {}

  /**
   * Over the contents of small files as they are now.
   *
   * @param files those that are missing are passed over
   */
  static byte[] ofSmall(List<Path> files) {
    CheckpointFingerprint fingerprint = new CheckpointFingerprint();
    try {
      for (Path file : files) {
        if (Files.isRegularFile(file)) {
          byte[] content = Files.readAllBytes(file);
          fingerprint.name(file, content.length);
          fingerprint.digest.update(content);
        }
      }
      return fingerprint.digest.digest();
    } catch (IOException e) {
      throw new CheckpointException("unreadable: " + e.getMessage(), e);
    }
  }

  /**
   * Of a whole checkpoint, in 64 hexadecimal digits.
   *
   * @param small what {@link #ofSmall} gave
   */
  static String of(byte[] small, List<SafetensorsFile> files) {
    CheckpointFingerprint fingerprint = new CheckpointFingerprint();
    fingerprint.digest.update(small);
    try {
      for (SafetensorsFile file : files) {
        fingerprint.file(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return HexFormat.of().formatHex(fingerprint.digest.digest());
  }

  private void file(SafetensorsFile file) throws IOException {
    MemorySegment bytes = file.bytes();
    name(file.path(), Files.size(file.path()));
    number(bytes.byteSize());
    String changed = Files.getLastModifiedTime(file.path()).toInstant().toString();
    digest.update(changed.getBytes(StandardCharsets.UTF_8));
    long data = file.dataStart();
    for (long at = 0; at < data; at += SAMPLE_BYTES) {
      add(bytes, at, Math.min(SAMPLE_BYTES, data - at));
    }
    long last = Math.max(0, bytes.byteSize() - data - SAMPLE_BYTES);
    for (int i = 0; i < SAMPLES; i++) {
      // the first one begins at the first byte, the last one ends with the last
      long at = data + (long) ((double) last * i / (SAMPLES - 1));
      add(bytes, at, Math.min(SAMPLE_BYTES, bytes.byteSize() - at));
    }
  }

  private void add(MemorySegment bytes, long at, long count) {
    MemorySegment.copy(bytes, at, MemorySegment.ofArray(piece), 0, count);
    digest.update(piece, 0, (int) count);
  }

  private void name(Path file, long size) {
    byte[] name = String.valueOf(file.getFileName()).getBytes(StandardCharsets.UTF_8);
    number(name.length);
    digest.update(name);
    number(size);
  }

  private void number(long value) {
    digest.update(
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).flip());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
