package io.tercel.loadtests.cli;

import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.SessionDataset;
import io.tercel.loadtests.data.TraceDataset;
import java.util.Optional;

/**
 * What is sent.
 *
 * @param dataset its requests
 * @param sessions where requests follow from answers
 * @param trace where it also says when they come
 */
record Workload(Dataset dataset, Optional<SessionDataset> sessions, Optional<TraceDataset> trace) {
  static Workload of(Dataset dataset) {
    return new Workload(dataset, Optional.empty(), Optional.empty());
  }

  static Workload of(SessionDataset sessions) {
    return new Workload(sessions, Optional.of(sessions), Optional.empty());
  }

  static Workload of(TraceDataset trace) {
    return new Workload(trace, Optional.empty(), Optional.of(trace));
  }

  /** The same with other requests. */
  Workload with(Dataset other) {
    return new Workload(other, sessions, trace);
  }
}
