package io.tercel.server.engine;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a request is for: which of the classes' shares it is served from, see {@link Scheduler}. The
 * earlier class may set back the later one's, never the other way round.
 */
public enum ServiceClass {
  /** Somebody waits for each word. */
  CHAT,
  /** A trainer waits for the whole. */
  ROLLOUT,
  /** Nobody waits. */
  BATCH;

  /** As requests and options name it: {@code chat}, {@code rollout}, {@code batch}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The class of that label; null if there is none. */
  public static @Nullable ServiceClass of(String label) {
    for (ServiceClass c : values()) {
      if (c.label().equals(label)) {
        return c;
      }
    }
    return null;
  }
}
