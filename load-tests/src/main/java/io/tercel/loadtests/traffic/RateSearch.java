package io.tercel.loadtests.traffic;

import java.util.ArrayList;
import java.util.List;

/**
 * The highest request rate that a server keeps its objectives at: the rate doubles until it doesn't
 * (or halves until it does), and what lies between is bisected. A trial that failed is repeated
 * once, for a machine that others use too: one bad moment must not halve what is found.
 */
public final class RateSearch {
  /** Doublings at most: from 1 a second to a million. */
  private static final int MAX_DOUBLINGS = 20;

  /** Halvings at most: from 1 a second to about one a minute, where requests hardly meet. */
  private static final int MAX_HALVINGS = 6;

  /** The server under load. */
  public interface Server {
    /**
     * Puts on that load.
     *
     * @param rate requests a second
     * @return share of requests, 0 to 1, that met their objectives
     */
    double attainment(double rate) throws InterruptedException;
  }

  /** Looks on. */
  public interface Listener {
    /** A trial is over. */
    void ended(Trial trial);
  }

  /**
   * One load.
   *
   * @param rate requests a second
   * @param attempt 1, or 2 for a repetition
   * @param attainment share of requests that met their objectives
   * @param kept whether that was enough
   */
  public record Trial(double rate, int attempt, double attainment, boolean kept) {}

  /**
   * What was found, in requests a second.
   *
   * @param highest the highest rate that was kept; 0 for none
   * @param lowestMissed the lowest rate that was missed twice; infinity for none
   */
  public record Outcome(double highest, double lowestMissed, List<Trial> trials) {
    public Outcome {
      trials = List.copyOf(trials);
    }

    public boolean found() {
      return highest > 0;
    }

    /** Whether something stopped it from above: else the server could do more. */
    public boolean bounded() {
      return Double.isFinite(lowestMissed);
    }
  }

  private final double wanted;
  private final double resolution;
  private final Server server;
  private final Listener listener;
  private final List<Trial> trials = new ArrayList<>();

  /**
   * Sends nothing yet.
   *
   * @param wanted share of requests that must meet their objectives, above 0 to 1
   * @param resolution where to stop: the lowest missed rate is this share above the highest kept
   */
  public RateSearch(double wanted, double resolution, Server server, Listener listener) {
    if (!(wanted > 0 && wanted <= 1 && resolution > 0)) {
      throw new IllegalArgumentException("wanted " + wanted + ", resolution " + resolution);
    }
    this.wanted = wanted;
    this.resolution = resolution;
    this.server = server;
    this.listener = listener;
  }

  /** Searches, from that rate on. */
  public Outcome run(double first) throws InterruptedException {
    double kept = 0;
    double missed = Double.POSITIVE_INFINITY;
    double rate = first;
    while ((kept == 0 || Double.isInfinite(missed))
        && rate <= first * (1 << MAX_DOUBLINGS)
        && rate >= first / (1 << MAX_HALVINGS)) {
      if (keeps(rate)) {
        kept = rate;
        rate *= 2;
      } else {
        missed = rate;
        rate /= 2;
      }
    }
    while (kept > 0 && Double.isFinite(missed) && missed > kept * (1 + resolution)) {
      double middle = (kept + missed) / 2;
      if (keeps(middle)) {
        kept = middle;
      } else {
        missed = middle;
      }
    }
    return new Outcome(kept, missed, trials);
  }

  private boolean keeps(double rate) throws InterruptedException {
    return trial(rate, 1) || trial(rate, 2);
  }

  private boolean trial(double rate, int attempt) throws InterruptedException {
    double attainment = server.attainment(rate);
    Trial trial = new Trial(rate, attempt, attainment, attainment >= wanted);
    trials.add(trial);
    listener.ended(trial);
    return trial.kept();
  }
}
