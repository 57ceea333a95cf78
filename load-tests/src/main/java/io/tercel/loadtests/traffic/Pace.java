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

  /** At this rate; infinity is {@link Unpaced}. */
  static Pace of(double perSecond, double burstiness) {
    return Double.isInfinite(perSecond) ? new Unpaced() : new Steady(perSecond, burstiness);
  }

  /** Requests a second; infinity for none. */
  default double requestRate() {
    return this instanceof Steady steady ? steady.perSecond() : Double.POSITIVE_INFINITY;
  }

  /** Shape of the gaps' distribution; 1 where there are none. */
  default double burstiness() {
    return this instanceof Steady steady ? steady.burstiness() : 1;
  }
}
