package io.tercel.server.engine.speculation;

import java.util.Arrays;

/**
 * How often drafted tokens of each {@link Kind} came true, lately, in all sequences of an engine.
 * Counted whether drafts are verified or only compared with what was said, so that a kind that does
 * not pay is still watched.
 */
final class Acceptance {
  /** Tokens that the prior counts for. */
  private static final double PRIOR = 4;

  /** Beyond so many, the older half fades. */
  private static final double MEMORY = 256;

  private final double[] tried = new double[Kind.COUNT];
  private final double[] right = new double[Kind.COUNT];
  private final double[] rates = new double[Kind.COUNT];

  Acceptance() {
    Arrays.setAll(rates, Kind::prior);
  }

  /** The share of such tokens that came true, those before them in the draft having done so. */
  double rate(int kind) {
    return rates[kind];
  }

  /** How many of the draft's tokens come true, on average. */
  double expected(Draft draft) {
    double sum = 0;
    double chance = 1;
    for (int i = 0; i < draft.size(); i++) {
      chance *= rate(draft.kind(i));
      sum += chance;
    }
    return sum;
  }

  /** Notes whether a token came true; those before it in its draft had. */
  void count(int kind, boolean cameTrue) {
    if (tried[kind] >= MEMORY) {
      tried[kind] /= 2;
      right[kind] /= 2;
    }
    tried[kind]++;
    right[kind] += cameTrue ? 1 : 0;
    rates[kind] = (right[kind] + PRIOR * Kind.prior(kind)) / (tried[kind] + PRIOR);
  }
}
