package io.tercel.kernels.ops;

import io.tercel.kernels.ops.TokenResult.TokenLogprob;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Turns a row of logits into a token, on the host. The order is vLLM's: log-probs of the raw
 * logits; then bias, penalties, forbidden and allowed ids, temperature, min_p, top_k, top_p (on
 * what top_k left, renormalised), and a draw by inverse CDF with {@link Noise}. Log-probs of what
 * was drawn from ({@link SamplingRow#processed}) come of the same weights. Every sum has a fixed
 * order, ties go to the lower id.
 *
 * <p>One instance a worker: it owns scratch of the vocabulary's size.
 */
public final class Sampler {
  private static final int CHUNK = 1024;

  /** A sum in another order may be this much off: whether it suffices is decided in order. */
  private static final double NEARLY = 1 - 1e-9;

  private final Ops ops;
  private final int vocab;
  private final float[] adjusted;
  private final float[] weights;
  private final double[] chunkSums;
  private final int[] found = new int[CHUNK];
  private long[] candidates = new long[256];

  /** What the last draw was from: the first so many candidates; -1 for all ids. */
  private int kept;

  /** The sum of the weights of those. */
  private double keptMass;

  public Sampler(Ops ops, int vocab) {
    this.ops = ops;
    this.vocab = vocab;
    this.adjusted = new float[vocab];
    this.weights = new float[vocab];
    this.chunkSums = new double[Math.ceilDiv(vocab, CHUNK)];
  }

  /** Answers one row; the logits lie from {@code at} on and are not changed. */
  public TokenResult sample(float[] logits, int at, SamplingRow row) {
    int best = ops.argMax(logits, at, vocab);
    float max = logits[at + best];
    double logSum = StrictMath.log(ops.sumExp(logits, at, vocab, max)) + max;
    if (Double.isNaN(logSum)) { // a NaN or an infinite one among the logits
      return TokenResult.broken(row);
    }
    int token = row.samples() ? draw(logits, at, best, row) : row.target();
    if (row.processed()) {
      return row.samples()
          ? processed(logits, at, token, row)
          : new TokenResult(
              token, 0, 1, row.numLogprobs() > 0 ? List.of(new TokenLogprob(token, 0)) : List.of());
    }
    float logprob = (float) (logits[at + token] - logSum);
    boolean detailed = row.numLogprobs() > 0 || !row.samples();
    int rank = detailed ? rank(logits, at, logits[at + token]) : 0;
    List<TokenLogprob> top =
        row.numLogprobs() > 0 ? top(logits, at, row.numLogprobs(), logSum) : List.of();
    return new TokenResult(token, logprob, rank, top);
  }

  /** What the token was drawn from says of it. */
  private TokenResult processed(float[] logits, int at, int token, SamplingRow row) {
    boolean plain = isPlain(row);
    float[] from = plain ? logits : adjusted;
    int offset = plain ? at : 0;
    boolean greedy = row.temperature() == 0;
    float max = from[offset + ops.argMax(from, offset, vocab)];
    double logMass = StrictMath.log(greedy ? ops.sumExp(from, offset, vocab, max) : keptMass);
    float temperature = greedy ? 1 : row.temperature();
    int count = Math.min(row.numLogprobs(), greedy || kept < 0 ? vocab : kept);
    List<TokenLogprob> top = new ArrayList<>(count);
    if (greedy || kept < 0) {
      for (int id : likeliest(from, offset, count)) {
        if (from[offset + id] > Float.NEGATIVE_INFINITY) {
          top.add(new TokenLogprob(id, logprob(from[offset + id], max, temperature, logMass)));
        }
      }
    } else {
      for (int i = 0; i < count; i++) {
        int id = (int) candidates[i];
        top.add(new TokenLogprob(id, logprob(from[offset + id], max, temperature, logMass)));
      }
    }
    float logit = from[offset + token];
    int rank = row.numLogprobs() > 0 ? rank(from, offset, logit) : 0;
    return new TokenResult(token, logprob(logit, max, temperature, logMass), rank, top);
  }

  private static float logprob(float logit, float max, float temperature, double logMass) {
    return (float) (((double) logit - max) / temperature - logMass);
  }

  private static boolean isPlain(SamplingRow row) {
    return row.penalties() == null
        && row.logitBias() == null
        && row.forbidden() == null
        && row.allowed() == null;
  }

  private int draw(float[] logits, int at, int best, SamplingRow row) {
    if (isPlain(row)) {
      return row.temperature() == 0 ? best : drawFrom(logits, at, best, row);
    }
    int likeliest = adjust(logits, at, row);
    if (adjusted[likeliest] == Float.NEGATIVE_INFINITY) {
      throw new IllegalStateException("no id of the vocabulary may be drawn");
    }
    return row.temperature() == 0 ? likeliest : drawFrom(adjusted, 0, likeliest, row);
  }

  /** Fills adjusted; returns the likeliest id. */
  private int adjust(float[] logits, int at, SamplingRow row) {
    long[] allowed = row.allowed();
    if (allowed != null
        && row.penalties() == null
        && row.logitBias() == null
        && row.forbidden() == null) {
      return ops.mask(logits, at, vocab, allowed, adjusted);
    }
    System.arraycopy(logits, at, adjusted, 0, vocab);
    Map<Integer, Float> bias = row.logitBias();
    if (bias != null) {
      bias.forEach((id, b) -> adjusted[id] += b);
    }
    Penalties p = row.penalties();
    if (p != null) {
      penalize(p);
    }
    if (row.forbidden() != null) {
      for (int id : row.forbidden()) {
        adjusted[id] = Float.NEGATIVE_INFINITY;
      }
    }
    return allowed == null
        ? ops.argMax(adjusted, 0, vocab)
        : ops.mask(adjusted, 0, vocab, allowed, adjusted);
  }

  private void penalize(Penalties p) {
    if (p.repetition() != 1f) {
      p.prompt().forEach((id, count) -> repeat(id, p.repetition()));
      p.generated()
          .forEach(
              (id, count) -> {
                if (p.prompt().count(id) == 0) {
                  repeat(id, p.repetition());
                }
              });
    }
    if (p.presence() != 0f || p.frequency() != 0f) {
      p.generated().forEach((id, n) -> adjusted[id] -= p.presence() + n * p.frequency());
    }
  }

  private void repeat(int id, float penalty) {
    float logit = adjusted[id];
    float moved = logit > 0 ? logit / penalty : logit * penalty;
    // an infinite one would make NaN of all weights
    adjusted[id] =
        logit == Float.NEGATIVE_INFINITY
            ? logit
            : Math.clamp(moved, -Float.MAX_VALUE, Float.MAX_VALUE);
  }

  private int drawFrom(float[] logits, int at, int best, SamplingRow row) {
    double u = Noise.uniform(row.seed(), row.choice(), row.position());
    double total = weigh(logits, at, logits[at + best], row.temperature());
    if (row.topK() == 0 && row.topP() >= 1f && row.minP() == 0f) {
      kept = -1;
      keptMass = total;
      return drawFromAll(u * total);
    }
    return drawFromTop(logits, at, best, row, u, total);
  }

  /** Fills weights = exp((logit - max) / T) and the chunks' sums; returns the total. */
  private double weigh(float[] logits, int at, float max, float temperature) {
    ops.weigh(logits, at, vocab, max, temperature, weights);
    int chunk = 0;
    for (; (chunk + 4) * CHUNK <= vocab; chunk += 4) {
      sumFourChunks(chunk);
    }
    for (; chunk < chunkSums.length; chunk++) {
      double sum = 0;
      for (int i = chunk * CHUNK; i < Math.min(vocab, (chunk + 1) * CHUNK); i++) {
        sum += weights[i];
      }
      chunkSums[chunk] = sum;
    }
    double total = 0;
    for (double sum : chunkSums) {
      total += sum;
    }
    return total;
  }

  /** Each sum runs from left to right, so an addition waits for the last: four don't wait long. */
  private void sumFourChunks(int first) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int end = (first + 1) * CHUNK;
    for (int i = first * CHUNK; i < end; i++) {
      a += weights[i];
      b += weights[i + CHUNK];
      c += weights[i + 2 * CHUNK];
      d += weights[i + 3 * CHUNK];
    }
    chunkSums[first] = a;
    chunkSums[first + 1] = b;
    chunkSums[first + 2] = c;
    chunkSums[first + 3] = d;
  }

  private int drawFromAll(double target) {
    double before = 0;
    int last = 0;
    for (int chunk = 0; chunk < chunkSums.length; chunk++) {
      if (before + chunkSums[chunk] <= target) {
        before += chunkSums[chunk];
        continue;
      }
      int end = Math.min(vocab, (chunk + 1) * CHUNK);
      for (int i = chunk * CHUNK; i < end; i++) {
        if (weights[i] > 0) {
          last = i;
          before += weights[i];
          if (before > target) {
            return i;
          }
        }
      }
    }
    return last; // rounding left the target at the very end
  }

  /**
   * The sorted head of the distribution is found by lowering a threshold until the filters are
   * satisfied. Where it began and by how much it fell cannot be told from what is drawn: more
   * candidates only stand behind those that are kept.
   */
  private int drawFromTop(
      float[] logits, int at, int best, SamplingRow row, double u, double total) {
    float threshold = row.minP() > 0f ? row.minP() : 0f;
    for (float floor = 1e-1f; ; floor = floor > 1e-12f ? floor * 1e-1f : 0f) {
      float lowest = Math.max(floor, threshold);
      int count = collect(logits, at, lowest);
      boolean complete = lowest <= threshold || lowest == 0f;
      boolean capped = row.topK() > 0 && count >= row.topK();
      // without top_k and min_p the nucleus is a share of the whole; with either, of what they left
      boolean ofWhole = row.topK() == 0 && threshold == 0f;
      boolean enough = ofWhole ? sum(count) >= row.topP() * total * NEARLY : capped;
      if (!enough && !complete) {
        continue;
      }
      Arrays.sort(candidates, 0, count);
      if (row.topK() > 0) {
        count = Math.min(count, row.topK());
      }
      double mass = ofWhole ? total : sum(count);
      int kept = nucleus(count, row.topP() * mass);
      if (kept > 0 || complete || capped) {
        return pick(kept > 0 ? kept : count, u, best);
      }
    }
  }

  /**
   * Gathers ids whose weight is at least the floor; sorted, they fall by logit, then rise by id.
   */
  private int collect(float[] logits, int at, float floor) {
    float least = Math.max(floor, Float.MIN_VALUE); // what weighs nothing is never drawn
    int count = 0;
    for (int from = 0; from < vocab; from += CHUNK) {
      int more = ops.atLeast(weights, from, Math.min(CHUNK, vocab - from), least, found);
      if (count + more > candidates.length) {
        candidates = Arrays.copyOf(candidates, Math.max(2 * candidates.length, count + more));
      }
      for (int i = 0; i < more; i++) {
        int id = from + found[i];
        candidates[count++] = ((long) ~sortable(logits[at + id]) << 32) | id;
      }
    }
    return count;
  }

  /** Order-preserving map of floats to signed ints. */
  private static int sortable(float x) {
    int bits = Float.floatToRawIntBits(x + 0f); // -0 and 0 are equal logits
    return bits >= 0 ? bits : bits ^ 0x7FFFFFFF;
  }

  private double sum(int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += weights[(int) candidates[i]];
    }
    return sum;
  }

  /** How many of the sorted candidates reach the mass; 0 if all of them together don't. */
  private int nucleus(int count, double mass) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += weights[(int) candidates[i]];
      if (sum >= mass) {
        return i + 1;
      }
    }
    return 0;
  }

  private int pick(int count, double u, int best) {
    kept = count;
    keptMass = sum(count);
    double target = u * keptMass;
    double sum = 0;
    for (int i = 0; i < count; i++) {
      int id = (int) candidates[i];
      sum += weights[id];
      if (sum > target) {
        return id;
      }
    }
    return count > 0 ? (int) candidates[count - 1] : best;
  }

  private int rank(float[] logits, int at, float logit) {
    int above = 0;
    for (int i = 0; i < vocab; i++) {
      above += logits[at + i] > logit ? 1 : 0;
    }
    return above + 1;
  }

  private List<TokenLogprob> top(float[] logits, int at, int k, double logSum) {
    List<TokenLogprob> top = new ArrayList<>(k);
    for (int id : likeliest(logits, at, k)) {
      top.add(new TokenLogprob(id, (float) (logits[at + id] - logSum)));
    }
    return top;
  }

  /** The ids of the largest, k at most, the largest first. */
  private int[] likeliest(float[] logits, int at, int k) {
    int size = Math.min(k, vocab);
    int[] ids = new int[size];
    int filled = 0;
    for (int i = 0; i < vocab; i++) {
      float logit = logits[at + i];
      if (filled == size && logit <= logits[at + ids[size - 1]]) {
        continue;
      }
      int slot = filled < size ? filled++ : size - 1;
      while (slot > 0 && logits[at + ids[slot - 1]] < logit) {
        ids[slot] = ids[slot - 1];
        slot--;
      }
      ids[slot] = i;
    }
    return ids;
  }
}
