package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ConcurrentModificationException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * A hash of all weights of a store as they lie in memory: SHA-256 over, for each matrix in the
 * order of the forward pass, the line {@code name format rows cols\n}, its packed bytes and, where
 * its columns are reordered, their order; then each norm and bias. Numbers are little-endian.
 *
 * @param hex 64 digits
 * @param version of the weights that were hashed
 * @param bytes how many were hashed
 */
public record WeightChecksum(String hex, long version, long bytes) {
  public static final String ALGORITHM = "sha-256";
  private static final int CHUNK_BYTES = 1 << 20;
  private static final int ATTEMPTS = 8;

  /**
   * Hashes on the calling thread, for about a second a gigabyte, while the engine goes on; if the
   * weights change meanwhile it begins again.
   *
   * @throws ConcurrentModificationException if they change every time
   * @throws IllegalStateException if the store is closed
   */
  public static WeightChecksum of(WeightStore weights) {
    for (int i = 0; i < ATTEMPTS; i++) {
      Optional<WeightChecksum> checksum = new Hashing(weights).run();
      if (checksum.isPresent()) {
        return checksum.get();
      }
      Thread.yield();
    }
    throw new ConcurrentModificationException("the weights change all the time");
  }

  /** One attempt. */
  private static final class Hashing {
    private final WeightStore weights;
    private final long stamp;
    private final long version;
    private final MessageDigest digest = sha256();
    private final byte[] chunk = new byte[CHUNK_BYTES];
    private long bytes;

    Hashing(WeightStore weights) {
      this.weights = weights;
      this.stamp = weights.readStamp();
      this.version = weights.version();
    }

    /** Empty if the weights changed. */
    Optional<WeightChecksum> run() {
      for (PackedMatrix matrix : weights.matrices()) {
        if (!matrix(matrix)) {
          return Optional.empty();
        }
      }
      for (float[] vector : weights.vectors()) {
        ByteBuffer buffer = buffer(vector.length);
        buffer.asFloatBuffer().put(vector);
        add(buffer.array());
      }
      String hex = HexFormat.of().formatHex(digest.digest());
      return weights.unchangedSince(stamp)
          ? Optional.of(new WeightChecksum(hex, version, bytes))
          : Optional.empty();
    }

    private boolean matrix(PackedMatrix matrix) {
      String line =
          "%s %s %d %d\n"
              .formatted(matrix.name(), matrix.format().label(), matrix.rows(), matrix.cols());
      digest.update(line.getBytes(StandardCharsets.UTF_8));
      MemorySegment segment = matrix.segment();
      for (long at = 0; at < segment.byteSize(); at += CHUNK_BYTES) {
        int length = (int) Math.min(CHUNK_BYTES, segment.byteSize() - at);
        MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, at, chunk, 0, length);
        if (!weights.unchangedSince(stamp)) {
          return false;
        }
        digest.update(chunk, 0, length);
        bytes += length;
      }
      int[] order = matrix.inputOrder();
      if (order != null) {
        ByteBuffer buffer = buffer(order.length);
        buffer.asIntBuffer().put(order);
        add(buffer.array());
      }
      return true;
    }

    private void add(byte[] values) {
      digest.update(values);
      bytes += values.length;
    }

    private static ByteBuffer buffer(int numbers) {
      return ByteBuffer.allocate(numbers * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static MessageDigest sha256() {
      try {
        return MessageDigest.getInstance("SHA-256");
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException("every JDK has SHA-256", e);
      }
    }
  }
}
