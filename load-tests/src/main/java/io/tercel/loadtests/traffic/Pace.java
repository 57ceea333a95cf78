package io.tercel.loadtests.traffic;

/** When the requests of a run are due, whatever the server does; or that nothing says when. */
public sealed interface Pace {
  /** As soon as there is a place: a closed loop, or all at once. */
  record Unpaced() implements Pace {}

  /**
   * Arrivals at one rate, see {@link Arrivals}.
   *
   * @param perSecond requests a second, finite and above 0
   */
  record Steady(double perSecond, double burstiness) implements Pace {}

  /**
   * Arrivals at a rate that changes from one to another over the run, both above 0.
   *
   * @param exponential by the same factor with each request, or part of the time; else by the same
   *     amount
   */
  record Ramp(boolean exponential, double from, double to, double burstiness) implements Pace {
    /**
     * The rate.
     *
     * @param progress how much of the run is over, 0 to 1
     */
    double rate(double progress) {
      return exponential ? from * Math.pow(to / from, progress) : from + (to - from) * progress;
    }
  }

  /** Arrivals that were recorded, in nanoseconds from the start, rising. */
  final class Recorded implements Pace {
    private final long[] nanos;

    /** Takes the times as they are. */
    public Recorded(long[] nanos) {
      this.nanos = nanos.clone();
    }

    long[] nanos() {
      return nanos.clone();
    }
  }

  /** At this rate; infinity is {@link Unpaced}. */
  static Pace of(double perSecond, double burstiness) {
    return Double.isInfinite(perSecond) ? new Unpaced() : new Steady(perSecond, burstiness);
  }

  /** Requests a second; infinity where there is no one rate. */
  default double requestRate() {
    return this instanceof Steady steady ? steady.perSecond() : Double.POSITIVE_INFINITY;
  }

  /** Shape of the gaps' distribution; 1 where there are none. */
  default double burstiness() {
    return switch (this) {
      case Steady steady -> steady.burstiness();
      case Ramp ramp -> ramp.burstiness();
      case Unpaced _, Recorded _ -> 1;
    };
  }
}
