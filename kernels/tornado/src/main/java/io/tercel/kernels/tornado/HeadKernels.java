package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * All that happens to the heads of a row between the linear layers and attention: queries and keys
 * are normed, rotated and multiplied by the matrices of {@code KvTransform}; queries stay in place,
 * keys and values go to the pool of the layer, in the layout that {@code KvLayout} states. The grid
 * is [heads + 2 kvHeads][tokens], a work group each: queries, keys, values.
 *
 * <p>Where two tokens share a word of the pool, each replaces its half by an atomic addition of the
 * difference: whoever comes first, the other half is never touched.
 *
 * <p>{@link #single} and {@link #packed} begin alike: a local array can't be handed to another
 * method.
 */
final class HeadKernels {
  /** Work items of a group. */
  static final int LOCAL = 64;

  private HeadKernels() {}

  /**
   * Keys and values of fp32.
   *
   * @param p weights of norms, matrices and clips
   * @param rope [tokens][headDim]: cosines, then sines
   * @param x [tokens][xStride]: q, k and v, each of whole tiles of outputs
   * @param qNormAt weights in p; below 0 there is no norm
   * @param kNormAt likewise
   * @param rotated 1, or 0 to leave the angles as they are
   * @param queryAt the matrix of queries in p, [headDim][headDim]; below 0 there is none
   * @param keyAt likewise of keys
   */
  public static void single(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      FloatArray kv,
      FloatArray p,
      FloatArray rope,
      FloatArray x,
      int rows,
      int heads,
      int kvHeads,
      int headDim,
      int xStride,
      int qNormAt,
      int kNormAt,
      float eps,
      int rotated,
      int queryAt,
      int keyAt) {
    int l = c.localIdx;
    int group = c.groupIdx;
    int n = step.get(StepLayout.N);
    int token = c.groupIdy;
    int isQuery = group < heads ? 1 : 0;
    int isKey = group >= heads && group < heads + kvHeads ? 1 : 0;
    int head = isQuery == 1 ? group : isKey == 1 ? group - heads : group - heads - kvHeads;
    int kAt = (heads * headDim + 15) / 16 * 16;
    int vAt = kAt + (kvHeads * headDim + 15) / 16 * 16;
    int from = token * xStride + (isQuery == 1 ? 0 : isKey == 1 ? kAt : vAt) + head * headDim;
    int half = headDim / 2;
    float[] values = c.allocateFloatLocalArray(256);
    float[] made = c.allocateFloatLocalArray(256);
    float[] lanes = c.allocateFloatLocalArray(16);
    for (int d = l; d < headDim; d += LOCAL) {
      values[d] = x.get(from + d);
    }
    c.localBarrier();
    if (l < 16) {
      float acc = 0f;
      for (int d = l; d < headDim; d += 16) {
        acc = values[d] * values[d] + acc;
      }
      lanes[l] = acc;
    }
    c.localBarrier();
    float sum =
        Arithmetic.tree(
            lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5], lanes[6], lanes[7],
            lanes[8], lanes[9], lanes[10], lanes[11], lanes[12], lanes[13], lanes[14], lanes[15]);
    float scale = Arithmetic.normScale(sum, headDim, eps);
    int normAt = isQuery == 1 ? qNormAt : isKey == 1 ? kNormAt : -1;
    int turns = rotated == 1 && isQuery + isKey == 1 ? 1 : 0;
    for (int i = l; i < half; i += LOCAL) {
      float low = values[i];
      float high = values[half + i];
      if (normAt >= 0) {
        low = low * scale * p.get(normAt + i);
        high = high * scale * p.get(normAt + half + i);
      }
      float cos = rope.get(token * headDim + i);
      float sin = rope.get(token * headDim + half + i);
      float first = Arithmetic.product(low, cos, powers) - Arithmetic.product(high, sin, powers);
      float second = Arithmetic.product(high, cos, powers) + Arithmetic.product(low, sin, powers);
      values[i] = turns == 1 ? first : low;
      values[half + i] = turns == 1 ? second : high;
    }
    c.localBarrier();
    int matrixAt = isQuery == 1 ? queryAt : isKey == 1 ? keyAt : -1;
    for (int e = l; e < headDim; e += LOCAL) {
      float acc = 0f;
      if (matrixAt >= 0) {
        for (int d = 0; d < headDim; d++) {
          acc = values[d] * p.get(matrixAt + d * headDim + e) + acc;
        }
      }
      made[e] = matrixAt >= 0 ? acc : values[e];
    }
    c.localBarrier();
    if (token < n) {
      if (isQuery == 1) {
        for (int d = l; d < headDim; d += LOCAL) {
          x.set(from + d, made[d]);
        }
      } else {
        int position = step.get(StepLayout.positions(rows) + token);
        int slot = position & 15;
        int at =
            (step.get(StepLayout.blocks(rows) + token) * 2 * kvHeads + group - heads)
                * 16
                * headDim;
        for (int d = l; d < headDim; d += LOCAL) {
          int element = isKey == 1 ? d * 16 + slot : slot * headDim + d;
          // never kept, but an array that is only written counts as one that need not be there
          // before
          float before = kv.get(at + element);
          float value = made[d];
          kv.set(at + element, position < 0 ? before : value + 0f * value); // NaN for an infinity
        }
      }
    }
  }

  /**
   * Keys and values of fp16, two elements a word, or of 4 bits: a scale and a zero point, then
   * codes.
   *
   * @param bits 16 or 4
   * @param clipAt clips of {@code KvTransform} in p, two of keys and two of values; below 0 there
   *     are none
   */
  public static void packed(
      KernelContext c,
      IntArray step,
      FloatArray powers,
      IntArray kv,
      FloatArray p,
      FloatArray rope,
      FloatArray x,
      int rows,
      int heads,
      int kvHeads,
      int headDim,
      int xStride,
      int qNormAt,
      int kNormAt,
      float eps,
      int rotated,
      int queryAt,
      int keyAt,
      int bits,
      int clipAt) {
    int l = c.localIdx;
    int group = c.groupIdx;
    int n = step.get(StepLayout.N);
    int token = c.groupIdy;
    int isQuery = group < heads ? 1 : 0;
    int isKey = group >= heads && group < heads + kvHeads ? 1 : 0;
    int head = isQuery == 1 ? group : isKey == 1 ? group - heads : group - heads - kvHeads;
    int kAt = (heads * headDim + 15) / 16 * 16;
    int vAt = kAt + (kvHeads * headDim + 15) / 16 * 16;
    int from = token * xStride + (isQuery == 1 ? 0 : isKey == 1 ? kAt : vAt) + head * headDim;
    int half = headDim / 2;
    float[] values = c.allocateFloatLocalArray(256);
    float[] made = c.allocateFloatLocalArray(256);
    float[] lanes = c.allocateFloatLocalArray(16);
    for (int d = l; d < headDim; d += LOCAL) {
      values[d] = x.get(from + d);
    }
    c.localBarrier();
    if (l < 16) {
      float acc = 0f;
      for (int d = l; d < headDim; d += 16) {
        acc = values[d] * values[d] + acc;
      }
      lanes[l] = acc;
    }
    c.localBarrier();
    float sum =
        Arithmetic.tree(
            lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5], lanes[6], lanes[7],
            lanes[8], lanes[9], lanes[10], lanes[11], lanes[12], lanes[13], lanes[14], lanes[15]);
    float scale = Arithmetic.normScale(sum, headDim, eps);
    int normAt = isQuery == 1 ? qNormAt : isKey == 1 ? kNormAt : -1;
    int turns = rotated == 1 && isQuery + isKey == 1 ? 1 : 0;
    for (int i = l; i < half; i += LOCAL) {
      float low = values[i];
      float high = values[half + i];
      if (normAt >= 0) {
        low = low * scale * p.get(normAt + i);
        high = high * scale * p.get(normAt + half + i);
      }
      float cos = rope.get(token * headDim + i);
      float sin = rope.get(token * headDim + half + i);
      float first = Arithmetic.product(low, cos, powers) - Arithmetic.product(high, sin, powers);
      float second = Arithmetic.product(high, cos, powers) + Arithmetic.product(low, sin, powers);
      values[i] = turns == 1 ? first : low;
      values[half + i] = turns == 1 ? second : high;
    }
    c.localBarrier();
    int matrixAt = isQuery == 1 ? queryAt : isKey == 1 ? keyAt : -1;
    for (int e = l; e < headDim; e += LOCAL) {
      float acc = 0f;
      if (matrixAt >= 0) {
        for (int d = 0; d < headDim; d++) {
          acc = values[d] * p.get(matrixAt + d * headDim + e) + acc;
        }
      }
      made[e] = matrixAt >= 0 ? acc : values[e];
    }
    c.localBarrier();
    float[] least = c.allocateFloatLocalArray(64);
    float[] most = c.allocateFloatLocalArray(64);
    float[] flaws = c.allocateFloatLocalArray(64);
    float min = 0f;
    float max = 0f;
    float flaw = 0f; // NaN as soon as one is no finite number
    for (int d = l; d < headDim; d += LOCAL) {
      float value = made[d];
      flaw = 0f * value + flaw;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    least[l] = min;
    most[l] = max;
    flaws[l] = flaw;
    c.localBarrier();
    for (int some = LOCAL / 2; some > 0; some = some >> 1) {
      if (l < some) {
        least[l] = Math.min(least[l], least[l + some]);
        most[l] = Math.max(most[l], most[l + some]);
        flaws[l] = flaws[l] + flaws[l + some];
      }
      c.localBarrier();
    }
    if (token < n) {
      if (isQuery == 1) {
        for (int d = l; d < headDim; d += LOCAL) {
          x.set(from + d, made[d]);
        }
      } else {
        int position = step.get(StepLayout.positions(rows) + token);
        int slot = position & 15;
        int chunks = (headDim + 63) / 64;
        int keyInts = bits == 16 ? 8 * headDim : headDim / 8 * 16 + 16;
        int valueInts = bits == 16 ? 8 * headDim : chunks * 128 + 16;
        int block = step.get(StepLayout.blocks(rows) + token) * kvHeads * (keyInts + valueInts);
        if (bits == 16 && isKey == 1) {
          int at = block + head * keyInts;
          for (int d = l; d < headDim; d += LOCAL) {
            int code = Arithmetic.half(made[d], powers);
            replaceHalf(c, kv, at + d * 8 + (slot >> 1), slot & 1, code);
          }
        }
        if (bits == 16 && isKey == 0) {
          int at = block + kvHeads * keyInts + head * valueInts;
          for (int d = l; d < half; d += LOCAL) {
            int low = Arithmetic.half(made[2 * d], powers);
            int high = Arithmetic.half(made[2 * d + 1], powers);
            kv.set(at + slot * half + d, (high << 16) | low);
          }
        }
        if (bits == 4) {
          float lowest = least[0];
          float highest = most[0];
          if (clipAt >= 0) {
            int clip = isKey == 1 ? clipAt : clipAt + 2;
            lowest = lowest * p.get(clip);
            highest = highest * p.get(clip + 1);
          }
          float range = (highest * 0.5f - lowest * 0.5f) / 7.5f;
          int scaleBits = Arithmetic.half(Math.min(range, 65504f), powers);
          boolean sound = flaws[0] == 0f;
          float stored = Arithmetic.fp16(scaleBits, powers);
          float unit = sound ? stored : 0f; // codes by a scale of 0 are 0
          int zero = unit == 0f ? 0 : Arithmetic.fourBits(-lowest / unit, 0);
          int meta = sound ? (zero << 16) | scaleBits : Arithmetic.NAN;
          if (isKey == 1) {
            int at = block + head * keyInts + slot;
            for (int g = l; g < headDim / 8; g += LOCAL) {
              int word = 0;
              for (int j = 0; j < 8; j++) {
                word = word | (codeOf(made[8 * g + j], unit, zero) << (4 * j));
              }
              kv.set(at + g * 16, word);
            }
            if (l == 0) {
              kv.set(at + headDim / 8 * 16, meta);
            }
          } else {
            int at = block + kvHeads * keyInts + head * valueInts;
            for (int i = l; i < chunks * 16; i += LOCAL) {
              int first = (i >> 4) * 64 + (i & 15);
              int codes = 0;
              for (int j = 0; j < 4; j++) {
                int d = first + 16 * j;
                int inside = Math.min(d, headDim - 1);
                int one = codeOf(made[inside], unit, zero) << (4 * j);
                codes = d < headDim ? codes | one : codes;
              }
              replaceHalf(c, kv, at + (slot >> 1) * chunks * 16 + i, slot & 1, codes);
            }
            if (l == 0) {
              kv.set(at + 8 * chunks * 16 + slot, meta);
            }
          }
        }
      }
    }
  }

  /** Makes one half of a word something else. */
  private static void replaceHalf(KernelContext c, IntArray kv, int at, int half, int value) {
    int shift = 16 * half;
    int old = (kv.get(at) >> shift) & 65535;
    c.atomicAdd(kv, at, (value - old) << shift);
  }

  private static int codeOf(float x, float scale, int zero) {
    return scale == 0f ? 0 : Arithmetic.fourBits(x / scale, zero);
  }
}
