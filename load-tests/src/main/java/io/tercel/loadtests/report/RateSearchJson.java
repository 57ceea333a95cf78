package io.tercel.loadtests.report;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.traffic.RateSearch;
import java.util.List;

/** A search for the highest rate, as it goes into the JSON of the run that it found. */
public final class RateSearchJson {
  private final RateSearch.Outcome outcome;
  private final List<Summary> summaries;
  private final double attainment;
  private final double resolution;

  /**
   * Of an ended search.
   *
   * @param summaries of the outcome's trials, in their order
   */
  public RateSearchJson(
      RateSearch.Outcome outcome, List<Summary> summaries, double attainment, double resolution) {
    if (summaries.size() != outcome.trials().size()) {
      throw new IllegalArgumentException(
          summaries.size() + " summaries of " + outcome.trials().size() + " trials");
    }
    this.outcome = outcome;
    this.summaries = List.copyOf(summaries);
    this.attainment = attainment;
    this.resolution = resolution;
  }

  /** Adds it to a run's result, as {@code rate_search}. */
  public void addTo(ObjectNode result) {
    ObjectNode json = result.putObject("rate_search");
    if (outcome.found()) {
      json.put("highest_rate", outcome.highest());
    } else {
      json.putNull("highest_rate");
    }
    if (outcome.bounded()) {
      json.put("lowest_missed_rate", outcome.lowestMissed());
    } else {
      json.putNull("lowest_missed_rate");
    }
    json.put("slo_attainment", attainment).put("resolution", resolution);
    for (int i = 0; i < summaries.size(); i++) {
      RateSearch.Trial trial = outcome.trials().get(i);
      Summary summary = summaries.get(i);
      json.withArray("trials")
          .addObject()
          .put("rate", trial.rate())
          .put("attempt", trial.attempt())
          .put("attainment", trial.attainment())
          .put("kept", trial.kept())
          .put("completed", summary.completed())
          .put("failed", summary.failed())
          .put("request_goodput", summary.requestGoodput());
    }
  }
}
