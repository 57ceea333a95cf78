package io.tercel.kernels.jit;

import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.vector.WorkerPool;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Plain inputs off the heap, [token][column], in the order in which {@link DenseCode} reads them:
 * of each block of 32 columns the even ones, then the odd ones.
 */
final class DenseInput {
  /** Elements that are worth a claim. */
  private static final int CLAIM = 16 * 1024;

  private MemorySegment floats = MemorySegment.NULL;

  /** Copies all rows of an input whose columns are whole blocks. */
  void fill(PreparedInput input, WorkerPool pool) {
    int cols = input.cols();
    long bytes = (long) input.tokens() * cols * Float.BYTES;
    if (floats.byteSize() < bytes) {
      floats = Arena.ofAuto().allocate(bytes, Codes.VECTOR);
    }
    pool.run(
        input.tokens(),
        Math.ceilDiv(CLAIM, cols),
        (from, to, worker) -> {
          float[] block = new float[DenseCode.COLUMNS];
          for (int at = from * cols; at < to * cols; at += DenseCode.COLUMNS) {
            block(input.values(), at, block);
          }
        });
  }

  private void block(float[] x, int at, float[] block) {
    int half = DenseCode.COLUMNS / 2;
    for (int i = 0; i < half; i++) {
      block[i] = x[at + 2 * i];
      block[half + i] = x[at + 2 * i + 1];
    }
    MemorySegment.copy(
        block, 0, floats, ValueLayout.JAVA_FLOAT, (long) at * Float.BYTES, DenseCode.COLUMNS);
  }

  MemorySegment segment() {
    return floats;
  }
}
