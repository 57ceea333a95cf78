package io.tercel.loadtests.traffic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RateSearchTest {
  private static RateSearch.Outcome search(
      double first, double resolution, RateSearch.Server server) throws InterruptedException {
    return new RateSearch(0.99, resolution, server, trial -> {}).run(first);
  }

  /** From below, from above, and from far away: within the resolution, and never above. */
  @ParameterizedTest
  @CsvSource({"1, 0.05", "64, 0.05", "0.2, 0.05", "1, 0.01", "7.3, 0.001", "300, 0.5"})
  void search_endsWithinItsResolution(double first, double resolution) throws InterruptedException {
    double capacity = 7.3;
    RateSearch.Outcome outcome = search(first, resolution, rate -> rate <= capacity ? 0.995 : 0.98);
    assertTrue(outcome.highest() <= capacity, () -> "" + outcome);
    assertTrue(outcome.lowestMissed() > capacity, () -> "" + outcome);
    assertTrue(outcome.lowestMissed() <= outcome.highest() * (1 + resolution), () -> "" + outcome);
  }

  @Test
  void search_doublesThenBisects() throws InterruptedException {
    List<Double> rates = new ArrayList<>();
    search(
        1,
        0.2,
        rate -> {
          rates.add(rate);
          return rate <= 5 ? 1 : 0;
        });
    assertEquals(List.of(1.0, 2.0, 4.0, 8.0, 8.0, 6.0, 6.0, 5.0), rates);
  }

  /** A machine that stumbles once at each rate finds the same. */
  @Test
  void failedTrial_isRepeatedOnce() throws InterruptedException {
    Set<Double> seen = new HashSet<>();
    RateSearch.Outcome stumbling =
        search(1, 0.05, rate -> !seen.add(rate) && rate <= 7.3 ? 0.99 : 0.5);
    assertEquals(search(1, 0.05, rate -> rate <= 7.3 ? 0.99 : 0.5).highest(), stumbling.highest());
    assertEquals(
        List.of(1, 2),
        stumbling.trials().subList(0, 2).stream().map(RateSearch.Trial::attempt).toList());
    assertFalse(stumbling.trials().get(0).kept());
    assertTrue(stumbling.trials().get(1).kept());
  }

  @Test
  void nothingMissed_isNoUpperBound() throws InterruptedException {
    RateSearch.Outcome outcome = search(1, 0.05, rate -> 1);
    assertTrue(outcome.found());
    assertFalse(outcome.bounded());
    assertEquals(1 << 20, outcome.highest());
  }

  @Test
  void nothingKept_isNotFound() throws InterruptedException {
    RateSearch.Outcome outcome = search(1, 0.05, rate -> 0.98);
    assertFalse(outcome.found());
    assertEquals(0, outcome.highest());
    assertEquals(2 * 7, outcome.trials().size());
  }
}
