package io.tercel.server.engine;

/**
 * What one class of service is entitled to. Shares are weights: they count against those of the
 * classes that have something to do, so a class that is alone has everything.
 *
 * @param maxWaiting sequences of the class that may wait; a request beyond is refused
 * @param placeShare weight of its share of running places and of the KV blocks
 * @param tokenShare weight of its share of each step's tokens
 */
public record ClassQuota(int maxWaiting, int placeShare, int tokenShare) {
  public ClassQuota {
    if (maxWaiting < 0) {
      throw new IllegalArgumentException("max-waiting: " + maxWaiting + " is negative");
    }
    if (placeShare < 1 || tokenShare < 1) {
      throw new IllegalArgumentException(
          "shares: %d of places and %d of tokens; each must be at least 1"
              .formatted(placeShare, tokenShare));
    }
  }

  /** The shares of {@code serve} where nobody says otherwise: 6 to 3 to 1. */
  public static ClassQuota usual(ServiceClass of, int maxWaiting) {
    int share =
        switch (of) {
          case CHAT -> 6;
          case ROLLOUT -> 3;
          case BATCH -> 1;
        };
    return new ClassQuota(maxWaiting, share, share);
  }
}
