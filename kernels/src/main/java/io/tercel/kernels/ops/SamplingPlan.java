package io.tercel.kernels.ops;

import java.util.ArrayList;
import java.util.List;

/**
 * The rows of a step whose logits are wanted, in rising order of their flat index; reused from step
 * to step.
 */
public final class SamplingPlan {
  private final List<SamplingRow> rows = new ArrayList<>();

  public void clear() {
    rows.clear();
  }

  public void add(SamplingRow row) {
    rows.add(row);
  }

  public int size() {
    return rows.size();
  }

  public SamplingRow get(int i) {
    return rows.get(i);
  }
}
