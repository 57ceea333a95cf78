package io.tercel.server.call;

import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What a request is called in its answer's headers and in logs. */
public final class RequestId {
  private RequestId() {}

  /** The client's own where it is safe to repeat in a header and in a log, else a new one. */
  public static String of(@Nullable String given) {
    return given != null && given.matches("[A-Za-z0-9._:/+=-]{1,128}")
        ? given
        : UUID.randomUUID().toString();
  }
}
