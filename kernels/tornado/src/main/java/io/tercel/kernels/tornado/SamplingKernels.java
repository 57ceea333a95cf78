package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * From logits to a token on the device, to the same choice as {@code Sampler} makes on the host:
 * every sum in its order. In three kernels: {@link #argMax} and {@link #sums}, a work group for
 * each chunk of the vocabulary, and {@link DrawKernels#pick}, one for each row, which finds in what
 * the chunks left where to look.
 *
 * <p>What was asked of row w lies in {@code asks} at 4w: the target or -1, top_k, whether the rank
 * is wanted; and in {@code knobs} at 4w: temperature, top_p, min_p. What is answered lies in {@code
 * tokens} at 4w: the token, 1 if it must be drawn on the host, the rank, the likeliest id; in
 * {@code values} at 2w: the token's logit, the largest one; in {@code totals} at w: the sum of
 * exp(logit - largest).
 *
 * <p>What a chunk found lies in {@code found}, {@link #FOUND} ints of each of [wanted][chunks]: the
 * id of its first largest logit; its first NaN's, or the vocabulary's size; how many lie above the
 * target's; and for each of {@link #LEVELS} thresholds and each of {@link #PARTS} parts of the
 * chunk how many weigh at least as much.
 */
final class SamplingKernels {
  /** Elements of a chunk: see {@code Ops.SUM_CHUNK}. */
  static final int CHUNK = 1024;

  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Partial sums of a chunk's raw exponentials. */
  static final int LANES = 16;

  /** Thresholds by which candidates are looked for: {@link #lower} says which. */
  static final int LEVELS = 6;

  /** Parts of a chunk. */
  static final int PARTS = 16;

  /** Elements of a part. */
  static final int PART = CHUNK / PARTS;

  /** Where counts by level and part begin. */
  static final int COUNTS = 3;

  /** Ints that a chunk leaves. */
  static final int FOUND = COUNTS + LEVELS * PARTS;

  /** The first threshold, as a share of the largest weight. */
  static final float FIRST = 1e-3f;

  private SamplingKernels() {}

  /** The threshold after a threshold; the last is 0. */
  static float lower(float floor) {
    return floor > 1e-12f ? floor * 1e-3f : 0f;
  }

  /** Strict comparisons, since of these the device knows that a NaN is neither. */
  static boolean isNaN(float x) {
    boolean number = x > -1f || x < 0f;
    return !number;
  }

  /**
   * A chunk's first NaN, its first largest, and how many lie above the target's. The grid is
   * [count][wanted].
   *
   * @param count chunks
   */
  public static void argMax(
      KernelContext c,
      IntArray wants,
      IntArray asks,
      FloatArray logits,
      IntArray found,
      int vocab,
      int stride,
      int count) {
    int l = c.localIdx;
    int chunk = c.groupIdx;
    int w = c.groupIdy;
    int n = wants.get(StepLayout.N);
    int bounded = Math.max(Math.min(w, n - 1), 0);
    int at = bounded * stride;
    int from = chunk * CHUNK;
    int end = Math.min(vocab, from + CHUNK);
    float[] values = c.allocateFloatLocalArray(256);
    int[] ids = c.allocateIntLocalArray(256);
    int[] nans = c.allocateIntLocalArray(256);
    int[] aboves = c.allocateIntLocalArray(256);
    float bar = logits.get(at + Math.max(Math.min(asks.get(4 * bounded), vocab - 1), 0));
    int id = from + l < end ? from + l : from;
    float best = logits.get(at + id);
    int nan = isNaN(best) ? id : vocab;
    int above = 0;
    for (int i = from + l; i < end; i += LOCAL) {
      float x = logits.get(at + i);
      nan = isNaN(x) ? Math.min(nan, i) : nan;
      above += x > bar ? 1 : 0;
      if (x > best) {
        best = x;
        id = i;
      }
    }
    values[l] = best;
    ids[l] = id;
    nans[l] = nan;
    aboves[l] = above;
    c.localBarrier();
    for (int half = LOCAL >> 1; half > 0; half = half >> 1) {
      if (l < half) {
        float x = values[l + half];
        int other = ids[l + half];
        if (x > best || (x == best && other < id)) {
          best = x;
          id = other;
        }
        nan = Math.min(nan, nans[l + half]);
        above += aboves[l + half];
        values[l] = best;
        ids[l] = id;
        nans[l] = nan;
        aboves[l] = above;
      }
      c.localBarrier();
    }
    if (l == 0 && w < n) {
      int to = (w * count + chunk) * FOUND;
      found.set(to, id);
      found.set(to + 1, nan);
      found.set(to + 2, above);
    }
  }

  /**
   * tokens[4w + 3] = the first NaN, else the first largest, and the sums of a chunk: raw
   * exponentials by partial sums, those at the temperature one by one, and how many of these reach
   * the thresholds. The grid is [count][wanted].
   *
   * @param chunks [wanted][2][count]
   * @param count chunks
   */
  public static void sums(
      KernelContext c,
      IntArray wants,
      FloatArray powers,
      FloatArray logits,
      IntArray found,
      FloatArray knobs,
      IntArray tokens,
      DoubleArray chunks,
      int vocab,
      int stride,
      int count) {
    int l = c.localIdx;
    int chunk = c.groupIdx;
    int w = c.groupIdy;
    int n = wants.get(StepLayout.N);
    int bounded = Math.max(Math.min(w, n - 1), 0);
    int at = bounded * stride;
    float[] values = c.allocateFloatLocalArray(256);
    int[] ids = c.allocateIntLocalArray(256);
    int[] nans = c.allocateIntLocalArray(256);
    float[] raw = c.allocateFloatLocalArray(1024);
    float[] weights = c.allocateFloatLocalArray(1024);
    int row = bounded * count;
    int id = Math.max(Math.min(found.get((row + Math.min(l, count - 1)) * FOUND), vocab - 1), 0);
    float best = logits.get(at + id);
    int nan = vocab;
    for (int i = l; i < count; i += LOCAL) {
      int other = Math.max(Math.min(found.get((row + i) * FOUND), vocab - 1), 0);
      float x = logits.get(at + other);
      nan = Math.min(nan, found.get((row + i) * FOUND + 1));
      if (x > best || (x == best && other < id)) {
        best = x;
        id = other;
      }
    }
    values[l] = best;
    ids[l] = id;
    nans[l] = nan;
    c.localBarrier();
    for (int half = LOCAL >> 1; half > 0; half = half >> 1) {
      if (l < half) {
        float x = values[l + half];
        int other = ids[l + half];
        if (x > best || (x == best && other < id)) {
          best = x;
          id = other;
        }
        nan = Math.min(nan, nans[l + half]);
        values[l] = best;
        ids[l] = id;
        nans[l] = nan;
      }
      c.localBarrier();
    }
    int first = nans[0] < vocab ? nans[0] : ids[0];
    int largest = Math.max(Math.min(first, vocab - 1), 0);
    if (l == 0 && chunk == 0 && w < n) {
      tokens.set(4 * w + 3, largest);
    }
    float max = logits.get(at + largest);
    float temperature = knobs.get(4 * bounded);
    int from = chunk * CHUNK;
    int size = Math.min(vocab - from, CHUNK);
    for (int i = l; i < size; i += LOCAL) {
      float below = logits.get(at + from + i) - max;
      raw[i] = Arithmetic.exp(below, powers);
      weights[i] = temperature > 0f ? Arithmetic.exp(below / temperature, powers) : 0f;
    }
    c.localBarrier();
    float lane = 0f;
    if (l < LANES) {
      for (int i = l; i < size; i += LANES) {
        lane = Arithmetic.plus(lane, raw[i]);
      }
    }
    c.localBarrier();
    values[l] = lane;
    c.localBarrier();
    if (l == 0 && w < n) {
      chunks.set(
          w * 2 * count + chunk,
          Arithmetic.tree(
              values[l],
              values[l + 1],
              values[l + 2],
              values[l + 3],
              values[l + 4],
              values[l + 5],
              values[l + 6],
              values[l + 7],
              values[l + 8],
              values[l + 9],
              values[l + 10],
              values[l + 11],
              values[l + 12],
              values[l + 13],
              values[l + 14],
              values[l + 15]));
    }
    if (l == 32 && w < n && temperature > 0f) {
      double sum = 0;
      for (int i = 0; i < size; i++) {
        sum += weights[i];
      }
      chunks.set((w * 2 + 1) * count + chunk, sum);
    }
    int counter = l - 64;
    if (counter >= 0 && counter < LEVELS * PARTS && w < n && temperature > 0f) {
      float floor = FIRST;
      for (int level = counter / PARTS; level > 0; level--) {
        floor = lower(floor);
      }
      float lowest = Math.max(floor, knobs.get(4 * bounded + 2));
      int begin = (counter & (PARTS - 1)) * PART;
      int stop = Math.min(size, begin + PART);
      int reached = 0;
      for (int i = begin; i < stop; i++) {
        float weight = weights[i];
        reached += weight >= lowest && weight > 0f ? 1 : 0;
      }
      found.set((row + chunk) * FOUND + COUNTS + counter, reached);
    }
  }
}
