package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The last step of {@link SamplingKernels}: a row's token. */
final class DrawKernels {
  /** Most ids that are sorted on the device; where more are needed, the host draws. */
  static final int CANDIDATES = 1024;

  private static final int LOCAL = SamplingKernels.LOCAL;
  private static final int CHUNK = SamplingKernels.CHUNK;
  private static final int PARTS = SamplingKernels.PARTS;
  private static final int PART = SamplingKernels.PART;
  private static final int FOUND = SamplingKernels.FOUND;
  private static final float LEAST = -3.4e38f;

  private DrawKernels() {}

  /**
   * Draws or scores. The grid is [1][wanted].
   *
   * @param chunks [wanted][2][count]
   * @param count chunks
   */
  public static void pick(
      KernelContext c,
      IntArray wants,
      FloatArray powers,
      FloatArray logits,
      IntArray found,
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
    float[] weights = c.allocateFloatLocalArray(1024);
    int[] counts = c.allocateIntLocalArray(256);
    int[] state =
        c.allocateIntLocalArray(4); // token, whether decided, whether the host must, chunk
    double[] whole = c.allocateDoubleLocalArray(2); // total, what lies before the chunk
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
      int scored = target >= 0 || temperature == 0f || SamplingKernels.isNaN(max) ? 1 : 0;
      state[1] = scored == 1 ? 1 : raw > 0 ? 0 : 1;
      state[2] = 0;
      state[3] = state[1] == 0 && plain ? 0 : count;
      whole[1] = 0;
      if (state[1] == 0) {
        double total = 0;
        for (int i = 0; i < count; i++) {
          total += chunks.get((w * 2 + 1) * count + i);
        }
        whole[0] = total;
      }
    }
    c.localBarrier();
    // from all: the chunk in which the sum passes the aim, then the id; rounding may make it two
    int last = 0;
    int rounds = count - state[3];
    for (int round = 0; round < rounds; round++) {
      c.localBarrier();
      int chunk = state[3];
      c.localBarrier();
      if (l == 0 && chunk < count) {
        double aim = draws.get(w) * whole[0];
        double before = whole[1];
        int next = -1;
        for (int i = chunk; i < count; i++) {
          if (next < 0) {
            double sum = chunks.get((w * 2 + 1) * count + i);
            if (before + sum <= aim) {
              before += sum;
            } else {
              next = i;
            }
          }
        }
        whole[1] = before;
        state[3] = next < 0 ? count : next;
      }
      c.localBarrier();
      int start = state[3] * CHUNK;
      int size = chunk < count ? Math.max(Math.min(vocab - start, CHUNK), 0) : 0;
      for (int i = l; i < size; i += LOCAL) {
        weights[i] = Arithmetic.exp((logits.get(at + start + i) - max) / temperature, powers);
      }
      c.localBarrier();
      if (l == 0 && chunk < count) {
        double aim = draws.get(w) * whole[0];
        double before = whole[1];
        int hit = -1;
        for (int i = 0; i < size; i++) {
          float weight = weights[i];
          if (weight > 0f && hit < 0) {
            last = start + i;
            before += weight;
            hit = before > aim ? start + i : -1;
          }
        }
        whole[1] = before;
        state[0] = hit < 0 ? last : hit;
        state[1] = 1;
        state[3] = hit < 0 ? state[3] + 1 : count;
      }
    }
    c.localBarrier();
    float floor = SamplingKernels.FIRST;
    for (int level = 0; level < SamplingKernels.LEVELS; level++) {
      float lowest = Math.max(floor, minP);
      int open = state[1];
      int parts = count * PARTS;
      int mine = 0;
      if (open == 0) {
        for (int i = l; i < parts; i += LOCAL) {
          int place = (w * count + i / PARTS) * FOUND + SamplingKernels.COUNTS;
          mine += found.get(place + level * PARTS + (i & (PARTS - 1)));
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
      if (open == 0 && all <= CANDIDATES && mine > 0) {
        for (int i = l; i < parts; i += LOCAL) {
          int place = (w * count + i / PARTS) * FOUND + SamplingKernels.COUNTS;
          if (found.get(place + level * PARTS + (i & (PARTS - 1))) > 0) {
            int end = Math.min(vocab, (i + 1) * PART);
            for (int k = i * PART; k < end; k++) {
              float logit = logits.get(at + k);
              float weight = Arithmetic.exp((logit - max) / temperature, powers);
              if (weight >= lowest && weight > 0f) {
                keys[before] = logit;
                ids[before] = k;
                before++;
              }
            }
          }
        }
      }
      c.localBarrier();
      // no more is sorted than there is: the padding lies behind everything
      int sorted = open == 0 && all <= CANDIDATES ? all : 0;
      for (int k = 2; k < 2 * sorted; k = k << 1) {
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
      for (int i = l; i < sorted; i += LOCAL) {
        weights[i] = Arithmetic.exp((keys[i] - max) / temperature, powers);
      }
      c.localBarrier();
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
              left += weights[i];
            }
            double mass = topP * (ofWhole ? whole[0] : left);
            double sum = 0;
            int kept = 0;
            for (int i = 0; i < some; i++) {
              if (kept == 0) {
                sum += weights[i];
                kept = sum >= mass ? i + 1 : 0;
              }
            }
            if (kept > 0 || complete || capped) {
              int choice = kept > 0 ? kept : some;
              double aim = draws.get(w) * (kept > 0 ? sum : left);
              double running = 0;
              int hit = -1;
              for (int i = 0; i < choice; i++) {
                running += weights[i];
                hit = hit < 0 && running > aim ? i : hit;
              }
              int place = hit < 0 ? choice - 1 : hit;
              state[0] = choice > 0 ? ids[Math.max(place, 0)] : best;
              state[1] = 1;
            }
          }
        }
      }
      floor = SamplingKernels.lower(floor);
      c.localBarrier();
    }
    int token = Math.max(Math.min(state[0], vocab - 1), 0);
    int above = 0;
    if (asks.get(4 * w + 2) == 1 && target >= 0) {
      for (int i = l; i < count; i += LOCAL) {
        above += found.get((w * count + i) * FOUND + 2);
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
      values.set(2 * w, logits.get(at + token));
      values.set(2 * w + 1, max);
    }
  }
}
