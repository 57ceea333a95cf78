package io.tercel.kernels.memory;

import java.util.ArrayList;
import java.util.List;

/**
 * Linear layers that read the same input and want it prepared alike: q, k and v, or gate and up. An
 * input is prepared once for all of them, and they run as one job.
 */
public final class Projection {
  private final List<Linear> linears;
  private final InputSpec input;
  private final int cols;

  /**
   * @param linears of equal inputs and equal {@link Linear#input()}
   */
  public Projection(List<Linear> linears) {
    this.linears = List.copyOf(linears);
    this.input = linears.getFirst().input();
    this.cols = linears.getFirst().weight().cols();
    for (Linear linear : linears) {
      if (!linear.input().equals(input) || linear.weight().cols() != cols) {
        throw new IllegalArgumentException(
            "%s and %s don't share a prepared input"
                .formatted(linears.getFirst().weight().name(), linear.weight().name()));
      }
    }
  }

  public static Projection of(Linear... linears) {
    return new Projection(List.of(linears));
  }

  /** Cuts layers of one input into as few runs of neighbours as can share a prepared input. */
  public static List<Projection> split(List<Linear> linears) {
    List<Projection> projections = new ArrayList<>();
    int from = 0;
    for (int i = 1; i <= linears.size(); i++) {
      if (i == linears.size() || !linears.get(i).input().equals(linears.get(from).input())) {
        projections.add(new Projection(linears.subList(from, i)));
        from = i;
      }
    }
    return projections;
  }

  /** In the order of their outputs. */
  public List<Linear> linears() {
    return linears;
  }

  /** How the input is to be prepared. */
  public InputSpec input() {
    return input;
  }

  /** Inputs of each. */
  public int cols() {
    return cols;
  }
}
