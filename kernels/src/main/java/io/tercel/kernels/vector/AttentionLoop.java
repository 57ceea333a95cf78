package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.LaneSum;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * The inner loops of attention on K and V that lie unpacked as floats: K as [block][headDim][16], V
 * as [token][dims], at addresses. Four queries share each load. The order of every sum is {@link
 * Attention}'s.
 */
final class AttentionLoop {
  private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
  private static final int VIRTUAL = Lanes.VIRTUAL;

  /** Bytes of 16 floats. */
  private static final int ROW = VIRTUAL * Float.BYTES;

  private AttentionLoop() {}

  /**
   * even + odd of four queries and the tokens of four blocks.
   *
   * @param keys address of four unpacked blocks
   * @param q0 where the first query begins in q, and so on
   * @param s0 where its 64 scores go, and so on
   * @param evens scratch of 256 floats
   */
  static void scores(
      long keys,
      int headDim,
      float[] q,
      int q0,
      int q1,
      int q2,
      int q3,
      float[] scores,
      int s0,
      int s1,
      int s2,
      int s3,
      float[] evens) {
    for (int parity = 0; parity < 2; parity++) {
      for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
        chain(
            keys + part * (long) Float.BYTES,
            headDim,
            parity,
            q,
            q0,
            q1,
            q2,
            q3,
            scores,
            s0 + part,
            s1 + part,
            s2 + part,
            s3 + part,
            evens,
            part);
      }
    }
  }

  private static void chain(
      long keys,
      int headDim,
      int parity,
      float[] q,
      int q0,
      int q1,
      int q2,
      int q3,
      float[] scores,
      int s0,
      int s1,
      int s2,
      int s3,
      float[] evens,
      int part) {
    FloatVector a00 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a01 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a02 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a03 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a10 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a11 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a12 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a13 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a20 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a21 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a22 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a23 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a30 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a31 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a32 = FloatVector.zero(Lanes.FLOAT);
    FloatVector a33 = FloatVector.zero(Lanes.FLOAT);
    final long block1 = keys + headDim * (long) ROW;
    final long block2 = block1 + headDim * (long) ROW;
    final long block3 = block2 + headDim * (long) ROW;
    for (int d = parity; d < headDim; d += 2) {
      final long row = d * (long) ROW;
      FloatVector k0 = load(keys + row);
      FloatVector k1 = load(block1 + row);
      FloatVector k2 = load(block2 + row);
      FloatVector k3 = load(block3 + row);
      FloatVector x0 = FloatVector.broadcast(Lanes.FLOAT, q[q0 + d]);
      a00 = k0.fma(x0, a00);
      a01 = k1.fma(x0, a01);
      a02 = k2.fma(x0, a02);
      a03 = k3.fma(x0, a03);
      FloatVector x1 = FloatVector.broadcast(Lanes.FLOAT, q[q1 + d]);
      a10 = k0.fma(x1, a10);
      a11 = k1.fma(x1, a11);
      a12 = k2.fma(x1, a12);
      a13 = k3.fma(x1, a13);
      FloatVector x2 = FloatVector.broadcast(Lanes.FLOAT, q[q2 + d]);
      a20 = k0.fma(x2, a20);
      a21 = k1.fma(x2, a21);
      a22 = k2.fma(x2, a22);
      a23 = k3.fma(x2, a23);
      FloatVector x3 = FloatVector.broadcast(Lanes.FLOAT, q[q3 + d]);
      a30 = k0.fma(x3, a30);
      a31 = k1.fma(x3, a31);
      a32 = k2.fma(x3, a32);
      a33 = k3.fma(x3, a33);
    }
    put(a00, parity, evens, 0 + part, scores, s0);
    put(a01, parity, evens, 16 + part, scores, s0 + VIRTUAL);
    put(a02, parity, evens, 32 + part, scores, s0 + 2 * VIRTUAL);
    put(a03, parity, evens, 48 + part, scores, s0 + 3 * VIRTUAL);
    put(a10, parity, evens, 64 + part, scores, s1);
    put(a11, parity, evens, 80 + part, scores, s1 + VIRTUAL);
    put(a12, parity, evens, 96 + part, scores, s1 + 2 * VIRTUAL);
    put(a13, parity, evens, 112 + part, scores, s1 + 3 * VIRTUAL);
    put(a20, parity, evens, 128 + part, scores, s2);
    put(a21, parity, evens, 144 + part, scores, s2 + VIRTUAL);
    put(a22, parity, evens, 160 + part, scores, s2 + 2 * VIRTUAL);
    put(a23, parity, evens, 176 + part, scores, s2 + 3 * VIRTUAL);
    put(a30, parity, evens, 192 + part, scores, s3);
    put(a31, parity, evens, 208 + part, scores, s3 + VIRTUAL);
    put(a32, parity, evens, 224 + part, scores, s3 + 2 * VIRTUAL);
    put(a33, parity, evens, 240 + part, scores, s3 + 3 * VIRTUAL);
  }

  /** The even chain is kept; the odd one added to it is the dot. */
  private static void put(
      FloatVector sum, int parity, float[] evens, int evenAt, float[] scores, int at) {
    if (parity == 0) {
      sum.intoArray(evens, evenAt);
    } else {
      Lanes.load(evens, evenAt).add(sum).intoArray(scores, at);
    }
  }

  /**
   * Adds tokens' weighted values to 64 running sums of each of four queries.
   *
   * @param values address of the first token's 64 dims, the next token's stride bytes on
   * @param w0 where the weights of the first query begin in w, and so on
   * @param o0 where its sums lie in out, and so on
   */
  static void values(
      long values,
      long stride,
      int tokens,
      float[] w,
      int w0,
      int w1,
      int w2,
      int w3,
      float[] out,
      int o0,
      int o1,
      int o2,
      int o3) {
    for (int part = 0; part < VIRTUAL; part += Lanes.COUNT) {
      four(
          values + part * (long) Float.BYTES,
          stride,
          tokens,
          w,
          w0,
          w1,
          w2,
          w3,
          out,
          o0 + part,
          o1 + part,
          o2 + part,
          o3 + part);
    }
  }

  private static void four(
      long values,
      long stride,
      int tokens,
      float[] w,
      int w0,
      int w1,
      int w2,
      int w3,
      float[] out,
      int o0,
      int o1,
      int o2,
      int o3) {
    FloatVector a00 = Lanes.load(out, o0);
    FloatVector a01 = Lanes.load(out, o0 + VIRTUAL);
    FloatVector a02 = Lanes.load(out, o0 + 2 * VIRTUAL);
    FloatVector a03 = Lanes.load(out, o0 + 3 * VIRTUAL);
    FloatVector a10 = Lanes.load(out, o1);
    FloatVector a11 = Lanes.load(out, o1 + VIRTUAL);
    FloatVector a12 = Lanes.load(out, o1 + 2 * VIRTUAL);
    FloatVector a13 = Lanes.load(out, o1 + 3 * VIRTUAL);
    FloatVector a20 = Lanes.load(out, o2);
    FloatVector a21 = Lanes.load(out, o2 + VIRTUAL);
    FloatVector a22 = Lanes.load(out, o2 + 2 * VIRTUAL);
    FloatVector a23 = Lanes.load(out, o2 + 3 * VIRTUAL);
    FloatVector a30 = Lanes.load(out, o3);
    FloatVector a31 = Lanes.load(out, o3 + VIRTUAL);
    FloatVector a32 = Lanes.load(out, o3 + 2 * VIRTUAL);
    FloatVector a33 = Lanes.load(out, o3 + 3 * VIRTUAL);
    for (int t = 0; t < tokens; t++) {
      final long row = values + t * stride;
      FloatVector v0 = load(row);
      FloatVector v1 = load(row + ROW);
      FloatVector v2 = load(row + 2 * ROW);
      FloatVector v3 = load(row + 3 * ROW);
      FloatVector x0 = FloatVector.broadcast(Lanes.FLOAT, w[w0 + t]);
      a00 = v0.fma(x0, a00);
      a01 = v1.fma(x0, a01);
      a02 = v2.fma(x0, a02);
      a03 = v3.fma(x0, a03);
      FloatVector x1 = FloatVector.broadcast(Lanes.FLOAT, w[w1 + t]);
      a10 = v0.fma(x1, a10);
      a11 = v1.fma(x1, a11);
      a12 = v2.fma(x1, a12);
      a13 = v3.fma(x1, a13);
      FloatVector x2 = FloatVector.broadcast(Lanes.FLOAT, w[w2 + t]);
      a20 = v0.fma(x2, a20);
      a21 = v1.fma(x2, a21);
      a22 = v2.fma(x2, a22);
      a23 = v3.fma(x2, a23);
      FloatVector x3 = FloatVector.broadcast(Lanes.FLOAT, w[w3 + t]);
      a30 = v0.fma(x3, a30);
      a31 = v1.fma(x3, a31);
      a32 = v2.fma(x3, a32);
      a33 = v3.fma(x3, a33);
    }
    a00.intoArray(out, o0);
    a01.intoArray(out, o0 + VIRTUAL);
    a02.intoArray(out, o0 + 2 * VIRTUAL);
    a03.intoArray(out, o0 + 3 * VIRTUAL);
    a10.intoArray(out, o1);
    a11.intoArray(out, o1 + VIRTUAL);
    a12.intoArray(out, o1 + 2 * VIRTUAL);
    a13.intoArray(out, o1 + 3 * VIRTUAL);
    a20.intoArray(out, o2);
    a21.intoArray(out, o2 + VIRTUAL);
    a22.intoArray(out, o2 + 2 * VIRTUAL);
    a23.intoArray(out, o2 + 3 * VIRTUAL);
    a30.intoArray(out, o3);
    a31.intoArray(out, o3 + VIRTUAL);
    a32.intoArray(out, o3 + 2 * VIRTUAL);
    a33.intoArray(out, o3 + 3 * VIRTUAL);
  }

  /** {@link #values} of one query. */
  static void values(
      long values, long stride, int tokens, float[] w, int wAt, float[] out, int outAt) {
    for (int j = 0; j < KvLayout.CHUNK_DIMS; j += Lanes.COUNT) {
      FloatVector sum = Lanes.load(out, outAt + j);
      for (int t = 0; t < tokens; t++) {
        FloatVector v = load(values + t * stride + j * (long) Float.BYTES);
        sum = v.fma(FloatVector.broadcast(Lanes.FLOAT, w[wAt + t]), sum);
      }
      sum.intoArray(out, outAt + j);
    }
  }

  /** Multiplies whole rows of 16. */
  static void scale(float[] scores, int at, int count, float scale) {
    for (int t = at; t < at + count; t += Lanes.COUNT) {
      Lanes.load(scores, t).mul(scale).intoArray(scores, t);
    }
  }

  /** The largest of whole rows of 16. */
  static float max(float[] scores, int at, int count, float[] lanes) {
    FloatVector max = Lanes.load(scores, at);
    for (int t = at + Lanes.COUNT; t < at + count; t += Lanes.COUNT) {
      max = max.max(Lanes.load(scores, t));
    }
    max.intoArray(lanes, 0);
    float largest = lanes[0];
    for (int i = 1; i < Lanes.COUNT; i++) {
      largest = Math.max(largest, lanes[i]);
    }
    return largest;
  }

  /**
   * Replaces whole rows of 16 scores by exp(score - largest) and sums them. A score of -infinity
   * stands for no token: it becomes 0 and changes no sum.
   */
  static float exponentials(float[] scores, int at, int count, float largest, float[] lanes) {
    for (int lane = 0; lane < VIRTUAL; lane += Lanes.COUNT) {
      FloatVector sum = FloatVector.zero(Lanes.FLOAT);
      for (int t = at + lane; t < at + count; t += VIRTUAL) {
        FloatVector p = VectorExp.exp(Lanes.load(scores, t).sub(largest));
        p.intoArray(scores, t);
        sum = sum.add(p);
      }
      sum.intoArray(lanes, lane);
    }
    return LaneSum.tree(lanes, 0);
  }

  private static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(Lanes.FLOAT, OffHeap.ALL, address, LITTLE);
  }
}
