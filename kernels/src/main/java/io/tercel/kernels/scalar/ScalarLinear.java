package io.tercel.kernels.scalar;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.EightSum;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.Ops;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** One output of a linear layer, as {@link Ops#linear} defines it. */
final class ScalarLinear {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private ScalarLinear() {}

  /** Row r of W times the inputs from {@code at} on. */
  static float dot(PackedMatrix w, int r, float[] x, int at) {
    return switch (w.format()) {
      case Dense dense -> denseDot(w, r, x, at, dense == Dense.FP32);
      case Grouped.W3G128 -> w3Dot(w, r, x, at);
    };
  }

  /** One weight of a dense matrix, widened. */
  static float element(PackedMatrix w, int r, int c) {
    MemorySegment segment = w.segment();
    long i = (long) r * w.cols() + c;
    return switch (w.format()) {
      case Dense.FP32 -> segment.get(FLOAT, 4 * i);
      case Dense.FP16 -> Float.float16ToFloat(segment.get(SHORT, 2 * i));
      case Dense.BF16 -> Float.intBitsToFloat(segment.get(SHORT, 2 * i) << 16);
      case Grouped.W3G128 ->
          throw new IllegalArgumentException(w.name() + ": an element of a quantized matrix");
    };
  }

  private static float denseDot(PackedMatrix w, int r, float[] x, int at, boolean fp32) {
    int block = fp32 ? LaneSum.LANES : 2 * LaneSum.LANES;
    int whole = w.cols() - w.cols() % block;
    float[] lanes = new float[LaneSum.LANES];
    for (int c = 0; c < w.cols(); c++) {
      int inBlock = c < whole ? c % block : c - whole;
      int lane = c < whole && !fp32 ? inBlock / 2 : inBlock % LaneSum.LANES;
      lanes[lane] = Math.fma(element(w, r, c), x[at + c], lanes[lane]);
    }
    return LaneSum.tree(lanes, 0);
  }

  private static float w3Dot(PackedMatrix w, int r, float[] x, int at) {
    int groups = W3Block.groups(w.cols());
    int[] order = w.inputOrder();
    float[] inputs = new float[W3Block.GROUP];
    int[] words = new int[W3Block.WORDS];
    float y = 0;
    for (int g = 0; g < groups; g++) {
      for (int k = 0; k < W3Block.GROUP; k++) {
        int c = g * W3Block.GROUP + k;
        inputs[k] = c >= w.cols() ? 0f : x[at + (order == null ? c : order[c])];
      }
      long lane =
          W3Block.blockOffset(r / W3Block.ROWS, g, groups)
              + (long) (r % W3Block.ROWS) * Integer.BYTES;
      for (int n = 0; n < W3Block.WORDS; n++) {
        words[n] = w.segment().get(INT, lane + (long) n * W3Block.VECTOR_BYTES);
      }
      int meta = w.segment().get(INT, lane + W3Block.SCALES_OFFSET);
      float scale = 8 * Float.float16ToFloat((short) meta);
      float zero = -(1 + (meta >>> 16) / 8f);
      float inner = Math.fma(zero, EightSum.of(inputs, 0, W3Block.GROUP), chains(words, inputs));
      y = Math.fma(scale, inner, y);
    }
    return y;
  }

  private static float chains(int[] words, float[] inputs) {
    float even = 0;
    float odd = 0;
    for (int k = 0; k < W3Block.GROUP; k += 2) {
      even = Math.fma(1 + W3Block.code(words, k) / 8f, inputs[k], even);
      odd = Math.fma(1 + W3Block.code(words, k + 1) / 8f, inputs[k + 1], odd);
    }
    return even + odd;
  }
}
