package io.tercel.trainer.eval;

import java.util.List;

/** One benchmark of several that are run as one. */
record Suite(String name, List<BenchmarkProblem> problems, Judge judge) {
  Suite {
    problems = List.copyOf(problems);
  }

  /** Closes what the judge holds open. */
  void close() {
    judge.close();
  }

  /** The first problems alone. */
  Suite first(int count) {
    return new Suite(name, problems.subList(0, Math.min(count, problems.size())), judge);
  }
}
