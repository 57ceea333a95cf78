package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One thread's part of a {@link WeightPatch}. It packs new weights into the layout of the matrix
 * that they are for, looks for NaN and infinities, and keeps the cache lines that differ.
 */
public final class PatchWriter {
  /** What is compared at a time: a cache line. */
  private static final int LINE = 64;

  /** So many equal lines between two that differ are copied with them: a new range costs more. */
  private static final int EQUAL_LINES = 2;

  private static final int EXPONENT = 0x7c00;

  private final WeightPatch patch;
  private final Arena arena;
  private final @Nullable PatchObserver observer;
  private final PatchRanges ranges;
  private final List<VectorChange> vectors = new ArrayList<>();
  private MemorySegment fresh = MemorySegment.NULL;
  private long codesFlipped;
  private boolean failed;

  private record VectorChange(float[] target, float[] values) {}

  PatchWriter(WeightPatch patch, Arena arena, @Nullable PatchObserver observer) {
    this.patch = patch;
    this.arena = arena;
    this.observer = observer;
    this.ranges = new PatchRanges(arena);
  }

  /**
   * Sixteen rows by one group of a 3-bit matrix; rows beyond the last have scale 0, and whatever
   * lies beyond rows or columns code and zero point 0.
   *
   * @param tile rows from 16 tile on
   * @param codes [16][128], 0..7
   * @param scales [16] fp16 bits
   * @param zeros [16], 0..7
   * @throws NonFiniteWeightsException if a scale is not finite
   */
  public void block(
      PackedMatrix target, int tile, int group, byte[] codes, short[] scales, byte[] zeros) {
    begin(target, QuantFormat.Grouped.W3G128);
    checkCodes(target, tile, W3Block.areCodes(codes) && areZeros(zeros), "0..7");
    checkScales(target, tile, scales, ", group " + group);
    MemorySegment to = target.segment();
    long at = W3Block.blockOffset(tile, group, W3Block.groups(target.cols()));
    MemorySegment packed = fresh(W3Block.BLOCK_BYTES);
    W3Block.pack(codes, scales, zeros, packed, 0);
    if (keepWhatDiffers(to, at, packed, W3Block.BLOCK_BYTES)) {
      codesFlipped += W3Block.differingCodes(packed, 0, to, at);
      if (observer != null) {
        int codeRows = W3Block.differingCodeRows(packed, 0, to, at);
        observer.block(
            target, tile, group, codeRows, W3Block.differingScaleRows(packed, 0, to, at));
      }
    }
    failed = false;
  }

  /**
   * Sixteen rows of a 4-bit matrix; rows beyond the last have code 0 and scale 0.
   *
   * @param codes [16][cols], -8..7
   * @param scales [16] fp16 bits
   * @throws NonFiniteWeightsException if a scale is not finite
   */
  public void tile(PackedMatrix target, int tile, byte[] codes, short[] scales) {
    begin(target, QuantFormat.PerRow.W4A4);
    int cols = target.cols();
    if (codes.length != W4Tile.ROWS * cols) {
      throw new IllegalArgumentException(
          "%s: %d codes for 16 rows of %d".formatted(target.name(), codes.length, cols));
    }
    checkCodes(target, tile, W4Tile.areCodes(codes), "-8..7");
    checkScales(target, tile, scales, "");
    MemorySegment to = target.segment();
    long bytes = W4Tile.tileBytes(cols);
    MemorySegment packed = fresh(bytes);
    W4Tile.pack(codes, cols, scales, packed, 0);
    long at = tile * bytes;
    if (keepWhatDiffers(to, at, packed, bytes)) {
      codesFlipped += W4Tile.differingCodes(packed, 0, to, at, cols);
      if (observer != null) {
        int codeRows = W4Tile.differingCodeRows(packed, 0, to, at, cols);
        int scaleRows = W4Tile.differingScaleRows(packed, 0, to, at, cols);
        observer.tile(target, tile, codeRows, scaleRows);
      }
    }
    failed = false;
  }

  /**
   * Neighbouring elements of a dense matrix, each rounded to the nearest that the matrix can hold.
   *
   * @param first index in row-major order
   * @throws NonFiniteWeightsException if one is not finite once it is rounded
   */
  public void dense(PackedMatrix target, long first, float[] values, int count) {
    QuantFormat.Dense format = target.dense();
    begin(target, format);
    MemorySegment rounded = fresh((long) format.elementBytes() * count);
    for (int i = 0; i < count; i++) {
      format.storeNearest(rounded, i, values[i]);
      if (!Float.isFinite(format.element(rounded, i))) {
        throw refusal(
            "%s has %s in row %d, column %d"
                .formatted(
                    target.name(),
                    values[i],
                    (first + i) / target.cols(),
                    (first + i) % target.cols()));
      }
    }
    long at = first * format.elementBytes();
    long bytes = (long) format.elementBytes() * count;
    if (observer != null) {
      tellDense(observer, target, at, rounded, bytes);
    }
    keepWhatDiffers(target.segment(), at, rounded, bytes);
    failed = false;
  }

  private static void tellDense(
      PatchObserver observer, PackedMatrix target, long at, MemorySegment rounded, long bytes) {
    MemorySegment to = target.segment();
    for (long from = difference(to, at, rounded, 0, bytes); from >= 0; ) {
      long end = Math.min(bytes, from + LINE);
      observer.dense(target, at + from, end - from);
      from = difference(to, at, rounded, end, bytes);
    }
  }

  /**
   * A norm, a bias or a part of a transform, all of it.
   *
   * @param name for errors
   * @param target of the store
   * @throws NonFiniteWeightsException if a value is not finite
   */
  public void vector(String name, float[] target, float[] values) {
    failed = true;
    patch.requireOwn(name, target);
    if (values.length != target.length) {
      throw new IllegalArgumentException(
          "%s has %d values, not %d".formatted(name, target.length, values.length));
    }
    String fault = FiniteWeights.fault(name, values);
    if (fault != null) {
      throw refusal(fault);
    }
    if (!Arrays.equals(target, values)) {
      vectors.add(new VectorChange(target, values.clone()));
      if (observer != null) {
        observer.vector(target);
      }
    }
    failed = false;
  }

  /** Until what is begun has ended well, the patch is of no use. */
  private void begin(PackedMatrix target, QuantFormat format) {
    failed = true;
    patch.requireOwn(target);
    if (!target.format().equals(format)) {
      throw new IllegalArgumentException(
          "%s is %s, not %s".formatted(target.name(), target.format().label(), format.label()));
    }
    if (target.inputOrder() != null) {
      throw new IllegalArgumentException(
          target.name()
              + " is served with its columns reordered (act-order), and weights in their own order can't be written to it");
    }
  }

  private NonFiniteWeightsException refusal(String what) {
    return NonFiniteWeightsException.refused(what, patch.store().version());
  }

  private static boolean areZeros(byte[] zeros) {
    int any = 0;
    for (byte zero : zeros) {
      any |= zero;
    }
    return (any & ~7) == 0;
  }

  private static void checkCodes(PackedMatrix target, int tile, boolean sound, String range) {
    if (!sound) {
      throw new IllegalArgumentException(
          "%s has a code or a zero point outside %s in rows %d to %d"
              .formatted(target.name(), range, tile * W3Block.ROWS, (tile + 1) * W3Block.ROWS - 1));
    }
  }

  private void checkScales(PackedMatrix target, int tile, short[] scales, String where) {
    for (int r = 0; r < W3Block.ROWS; r++) {
      if ((scales[r] & EXPONENT) == EXPONENT) {
        throw refusal(
            "%s has a scale of %s in row %d%s"
                .formatted(
                    target.name(),
                    Float.float16ToFloat(scales[r]),
                    tile * W3Block.ROWS + r,
                    where));
      }
      if (scales[r] < 0) {
        throw new IllegalArgumentException(
            "%s has the scale %s in row %d%s; scales are not negative"
                .formatted(
                    target.name(),
                    Float.float16ToFloat(scales[r]),
                    tile * W3Block.ROWS + r,
                    where));
      }
    }
  }

  private MemorySegment fresh(long bytes) {
    if (fresh.byteSize() < bytes) {
      fresh = arena.allocate(bytes, LINE);
    }
    return fresh;
  }

  /** Whether there was anything. */
  private boolean keepWhatDiffers(MemorySegment to, long at, MemorySegment packed, long bytes) {
    long from = difference(to, at, packed, 0, bytes);
    boolean any = from >= 0;
    while (from >= 0) {
      long end = Math.min(bytes, from + LINE);
      long next = difference(to, at, packed, end, bytes);
      while (next >= 0 && next <= end + EQUAL_LINES * LINE) {
        end = Math.min(bytes, next + LINE);
        next = difference(to, at, packed, end, bytes);
      }
      if (next < 0 && bytes - end <= EQUAL_LINES * LINE) {
        end = bytes; // so that it joins what comes next
      }
      ranges.add(to, at + from, packed, from, end - from);
      from = next;
    }
    return any;
  }

  /** Where the next line that differs begins; -1 if none does. */
  private static long difference(
      MemorySegment to, long at, MemorySegment packed, long from, long bytes) {
    long found = MemorySegment.mismatch(packed, from, bytes, to, at + from, at + bytes);
    return found < 0 ? -1 : (from + found) / LINE * LINE;
  }

  long codesFlipped() {
    return codesFlipped;
  }

  long bytes() {
    return ranges.bytes()
        + vectors.stream().mapToLong(v -> (long) Float.BYTES * v.values.length).sum();
  }

  boolean failed() {
    return failed;
  }

  boolean changesAnyOf(Set<float[]> some) {
    return vectors.stream().anyMatch(v -> some.contains(v.target));
  }

  void write() {
    ranges.write();
    for (VectorChange change : vectors) {
      System.arraycopy(change.values, 0, change.target, 0, change.values.length);
    }
  }
}
