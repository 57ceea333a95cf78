package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * From logits to a token on the device, to the same choice as {@code Sampler} makes on the host:
 * every sum in its order. In three kernels: {@link #argMax}, {@link #sums} of chunks, {@link
 * #pick}.
 *
 * <p>What was asked of row w lies in {@code asks} at 4w: the target or -1, top_k, whether the rank
 * is wanted; and in {@code knobs} at 4w: temperature, top_p, min_p. What is answered lies in {@code
 * tokens} at 4w: the token, 1 if it must be drawn on the host, the rank, the likeliest id; in
 * {@code values} at 2w: the token's logit, the largest one; in {@code totals} at w: the sum of
 * exp(logit - largest).
 */
final class SamplingKernels {
  /** Elements of a chunk: see {@code Ops.SUM_CHUNK}. */
  static final int CHUNK = 1024;

  /** Work items of a group. */
  static final int LOCAL = 256;

  /** Work items of a group of {@link #sums}: partial sums of a chunk. */
  static final int LANES = 16;

  /** Most ids that are sorted on the device; where more are needed, the host draws. */
  static final int CANDIDATES = 1024;

  private static final float LEAST = -3.4e38f;

  private SamplingKernels() {}

  /** tokens[4w + 3] = the first NaN, else the first largest. The grid is [1][wanted]. */
  public static void argMax(
      KernelContext c, IntArray wants, FloatArray logits, IntArray tokens, int vocab, int stride) {
    int l = c.localIdx;
    int w = c.groupIdy;
    int n = wants.get(StepLayout.N);
    int at = Math.max(Math.min(w, n - 1), 0) * stride;
    float[] values = c.allocateFloatLocalArray(256);
    int[] ids = c.allocateIntLocalArray(256);
    int[] nans = c.allocateIntLocalArray(256);
    int first = Math.min(l, vocab - 1);
    float best = logits.get(at + first);
    int id = first;
    int nan = isNaN(best) ? first : vocab;
    for (int i = first + LOCAL; i < vocab; i += LOCAL) {
      float x = logits.get(at + i);
      nan = isNaN(x) ? Math.min(nan, i) : nan;
      if (x > best) {
        best = x;
        id = i;
      }
    }
    values[l] = best;
    ids[l] = id;
    nans[l] = nan;
    c.localBarrier();
    if (l == 0 && w < n) {
      for (int i = 1; i < LOCAL; i++) {
        float x = values[i];
        if (x > best || (x == best && ids[i] < id)) {
          best = x;
          id = ids[i];
        }
        nan = Math.min(nan, nans[i]);
      }
      tokens.set(4 * w + 3, nan < vocab ? nan : id);
    }
  }

  /** Strict comparisons, since of these the device knows that a NaN is neither. */
  private static boolean isNaN(float x) {
    boolean number = x > -1f || x < 0f;
    return !number;
  }

  /**
   * Sums of a chunk: raw exponentials by partial sums, those at the temperature one by one. The
   * grid is [chunks][wanted].
   *
   * @param chunks [wanted][2][chunks]
   */
  public static void sums(
      KernelContext c,
      IntArray wants,
      FloatArray powers,
      FloatArray logits,
      IntArray tokens,
      FloatArray knobs,
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
    float[] lanes = c.allocateFloatLocalArray(16);
    int best = Math.max(Math.min(tokens.get(4 * bounded + 3), vocab - 1), 0);
    float max = logits.get(at + best);
    int end = Math.min(vocab, (chunk + 1) * CHUNK);
    float acc = 0f;
    for (int i = chunk * CHUNK + l; i < end; i += LANES) {
      acc = Arithmetic.plus(acc, Arithmetic.exp(logits.get(at + i) - max, powers));
    }
    lanes[l] = acc;
    c.localBarrier();
    if (l == 0 && w < n) {
      chunks.set(
          w * 2 * count + chunk,
          Arithmetic.tree(
              lanes[l],
              lanes[l + 1],
              lanes[l + 2],
              lanes[l + 3],
              lanes[l + 4],
              lanes[l + 5],
              lanes[l + 6],
              lanes[l + 7],
              lanes[l + 8],
              lanes[l + 9],
              lanes[l + 10],
              lanes[l + 11],
              lanes[l + 12],
              lanes[l + 13],
              lanes[l + 14],
              lanes[l + 15]));
    }
    float temperature = knobs.get(4 * bounded);
    if (l == 1 && w < n && temperature > 0f) {
      double sum = 0;
      for (int i = chunk * CHUNK; i < end; i++) {
        sum += Arithmetic.exp((logits.get(at + i) - max) / temperature, powers);
      }
      chunks.set((w * 2 + 1) * count + chunk, sum);
    }
  }

  /** Draws or scores. The grid is [1][wanted]. */
  public static void pick(
      KernelContext c,
      IntArray wants,
      FloatArray powers,
      FloatArray logits,
      DoubleArray chunks,
      IntArray asks,
      FloatArray knobs,
      DoubleArray draws,
      IntArray tokens,
      FloatArray values,
      DoubleArray totals,
      int vocab,
      int stride,
      int count) {
    int l = c.localIdx;
    int n = wants.get(StepLayout.N);
    int w = Math.max(Math.min(c.groupIdy, n - 1), 0);
    int at = w * stride;
    int best = Math.max(Math.min(tokens.get(4 * w + 3), vocab - 1), 0);
    float max = logits.get(at + best);
    float temperature = knobs.get(4 * w);
    float topP = knobs.get(4 * w + 1);
    float minP = knobs.get(4 * w + 2);
    int target = asks.get(4 * w);
    int topK = asks.get(4 * w + 1);
    float[] keys = c.allocateFloatLocalArray(1024);
    int[] ids = c.allocateIntLocalArray(1024);
    int[] counts = c.allocateIntLocalArray(256);
    int[] state = c.allocateIntLocalArray(4); // token, whether decided, whether the host must
    double[] whole = c.allocateDoubleLocalArray(1);
    boolean plain = topK == 0 && topP >= 1f && minP == 0f;
    if (l == 0) {
      double raw = 0;
      for (int i = 0; i < count; i++) {
        raw += chunks.get(w * 2 * count + i);
      }
      if (c.groupIdy < n) {
        totals.set(w, raw);
      }
      state[0] = target >= 0 ? target : best;
      // among NaNs there is nothing to draw from; the largest is one of them then
      state[1] = target >= 0 || temperature == 0f || isNaN(max) ? 1 : raw > 0 ? 0 : 1;
      state[2] = 0;
      if (state[1] == 0) {
        double total = 0;
        for (int i = 0; i < count; i++) {
          total += chunks.get((w * 2 + 1) * count + i);
        }
        whole[0] = total;
      }
    }
    c.localBarrier();
    if (l == 0 && state[1] == 0 && plain) {
      state[0] =
          drawFromAll(
              logits,
              at,
              max,
              temperature,
              powers,
              chunks,
              w,
              count,
              vocab,
              draws.get(w) * whole[0]);
      state[1] = 1;
    }
    c.localBarrier();
    float floor = 1e-3f;
    for (int level = 0; level < 6; level++) {
      float lowest = Math.max(floor, minP);
      int open = state[1];
      int per = (vocab + LOCAL - 1) / LOCAL;
      int from = l * per;
      int to = Math.min(vocab, from + per);
      int mine = 0;
      if (open == 0) {
        for (int i = from; i < to; i++) {
          float weight = Arithmetic.exp((logits.get(at + i) - max) / temperature, powers);
          mine += weight >= lowest && weight > 0f ? 1 : 0;
        }
      }
      counts[l] = mine;
      c.localBarrier();
      int before = 0;
      int all = 0;
      if (open == 0) {
        for (int i = 0; i < LOCAL; i++) {
          before += i < l ? counts[i] : 0;
          all += counts[i];
        }
        for (int i = l; i < CANDIDATES; i += LOCAL) {
          keys[i] = LEAST;
          ids[i] = 0x7fffffff;
        }
      }
      c.localBarrier();
      if (open == 0 && all <= CANDIDATES) {
        for (int i = from; i < to; i++) {
          float logit = logits.get(at + i);
          float weight = Arithmetic.exp((logit - max) / temperature, powers);
          if (weight >= lowest && weight > 0f) {
            keys[before] = logit;
            ids[before] = i;
            before++;
          }
        }
      }
      c.localBarrier();
      int size = open == 0 && all <= CANDIDATES ? CANDIDATES : 0;
      for (int k = 2; k <= size; k = k << 1) {
        for (int j = k >> 1; j > 0; j = j >> 1) {
          for (int i = l; i < CANDIDATES; i += LOCAL) {
            int other = i ^ j;
            if (other > i) {
              boolean falling = (i & k) == 0;
              boolean right =
                  keys[i] > keys[other] || (keys[i] == keys[other] && ids[i] < ids[other]);
              if (falling != right) {
                float key = keys[i];
                keys[i] = keys[other];
                keys[other] = key;
                int id = ids[i];
                ids[i] = ids[other];
                ids[other] = id;
              }
            }
          }
          c.localBarrier();
        }
      }
      if (l == 0 && open == 0) {
        if (all > CANDIDATES) {
          state[1] = 1;
          state[2] = 1;
        } else {
          boolean complete = lowest <= minP || lowest == 0f;
          boolean capped = topK > 0 && all >= topK;
          int some = topK > 0 ? Math.min(all, topK) : all;
          boolean ofWhole = topK == 0 && minP == 0f;
          if (ofWhole || complete || capped) {
            double left = 0;
            for (int i = 0; i < some; i++) {
              left += Arithmetic.exp((keys[i] - max) / temperature, powers);
            }
            double mass = topP * (ofWhole ? whole[0] : left);
            double sum = 0;
            int kept = 0;
            for (int i = 0; i < some; i++) {
              if (kept == 0) {
                sum += Arithmetic.exp((keys[i] - max) / temperature, powers);
                kept = sum >= mass ? i + 1 : 0;
              }
            }
            if (kept > 0 || complete || capped) {
              int choice = kept > 0 ? kept : some;
              double aim = draws.get(w) * (kept > 0 ? sum : left);
              double running = 0;
              int found = -1;
              for (int i = 0; i < choice; i++) {
                running += Arithmetic.exp((keys[i] - max) / temperature, powers);
                found = found < 0 && running > aim ? i : found;
              }
              int place = found < 0 ? choice - 1 : found;
              state[0] = choice > 0 ? ids[Math.max(place, 0)] : best;
              state[1] = 1;
            }
          }
        }
      }
      floor = floor > 1e-12f ? floor * 1e-3f : 0f;
      c.localBarrier();
    }
    int token = Math.max(Math.min(state[0], vocab - 1), 0);
    float logit = logits.get(at + token);
    int above = 0;
    if (asks.get(4 * w + 2) == 1) {
      for (int i = l; i < vocab; i += LOCAL) {
        above += logits.get(at + i) > logit ? 1 : 0;
      }
    }
    counts[l] = above;
    c.localBarrier();
    if (l == 0 && c.groupIdy < n) {
      int rank = 1;
      for (int i = 0; i < LOCAL; i++) {
        rank += counts[i];
      }
      tokens.set(4 * w, token);
      tokens.set(4 * w + 1, state[1] == 0 ? 1 : state[2]);
      tokens.set(4 * w + 2, rank);
      values.set(2 * w, logit);
      values.set(2 * w + 1, max);
    }
  }

  private static int drawFromAll(
      FloatArray logits,
      int at,
      float max,
      float temperature,
      FloatArray powers,
      DoubleArray chunks,
      int w,
      int count,
      int vocab,
      double target) {
    double before = 0;
    int chunk = 0;
    int last = 0;
    int found = -1;
    while (chunk < count && found < 0) {
      double sum = chunks.get((w * 2 + 1) * count + chunk);
      if (before + sum <= target) {
        before += sum;
      } else {
        int end = Math.min(vocab, (chunk + 1) * CHUNK);
        for (int i = chunk * CHUNK; i < end; i++) {
          float weight = Arithmetic.exp((logits.get(at + i) - max) / temperature, powers);
          if (weight > 0f && found < 0) {
            last = i;
            before += weight;
            found = before > target ? i : -1;
          }
        }
      }
      chunk++;
    }
    return found < 0 ? last : found;
  }
}
