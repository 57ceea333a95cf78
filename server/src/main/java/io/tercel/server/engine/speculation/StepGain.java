package io.tercel.server.engine.speculation;

/**
 * Whether one row more, for a drafted token, makes a step say more tokens a second: it does if the
 * token's chance is above the row's share of the step's time, counted in tokens (the "goodput" of
 * Liu et al., 2024, one row at a time). Alone, a sequence may draft boldly; among many, who all
 * wait for the row, only what is nearly certain pays.
 */
final class StepGain {
  /** By how much a row must pay more than it costs, since both are estimates. */
  private static final double MARGIN = 1.1;

  private final StepCost cost;
  private double tokens;
  private int rows;

  StepGain(StepCost cost) {
    this.cost = cost;
  }

  /** A step that says so many tokens from so many rows, without drafts. */
  void begin(int sampled, int allRows) {
    tokens = sampled;
    rows = allRows;
  }

  /**
   * How many of a draft's first tokens pay.
   *
   * @param chances that each token, and all before it, come true; they fall
   */
  int worth(double[] chances, int count) {
    double base = cost.base();
    double perRow = cost.perRow();
    double sum = tokens;
    for (int i = 0; i < count; i++) {
      if (chances[i] * (base + perRow * (rows + i)) <= MARGIN * perRow * sum) {
        return i;
      }
      sum += chances[i];
    }
    return count;
  }

  /** Below this chance no row of a draft pays. */
  double least() {
    double perRow = cost.perRow();
    return MARGIN * perRow * tokens / (cost.base() + perRow * (rows + Speculation.MOST));
  }

  /** A row is in the step whose token comes true with that chance. */
  void add(double chance) {
    tokens += chance;
    rows++;
  }
}
