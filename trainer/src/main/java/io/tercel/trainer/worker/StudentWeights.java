package io.tercel.trainer.worker;

import io.tercel.kernels.exchange.WeightHistory;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.UserException;
import io.tercel.trainer.share.ServedStudent;
import org.jspecify.annotations.Nullable;

/** The weights that are trained, as workers are to have them. Thread-safe. */
final class StudentWeights {
  private final WeightStore store;
  private final WeightHistory history;
  private final WorkerFit fit;
  private @Nullable WeightChecksum checksum;

  /**
   * Of a student of which nothing is shared yet.
   *
   * @throws UserException if it is served in a form that can't be sent
   */
  StudentWeights(ServedStudent served) {
    store = served.running().running().weights();
    fit = new WorkerFit(served.running());
    try {
      history = served.keepHistory();
    } catch (IllegalArgumentException e) {
      throw new UserException("--rollout-servers: " + e.getMessage(), e);
    }
  }

  /** What is in service. */
  long version() {
    return store.version();
  }

  WeightHistory history() {
    return history;
  }

  WorkerFit fit() {
    return fit;
  }

  /** Of the present version, computed once. */
  synchronized WeightChecksum checksum() {
    WeightChecksum known = checksum;
    if (known == null || known.version() != store.version()) {
      checksum = known = WeightChecksum.of(store);
    }
    return known;
  }
}
