package io.tercel.server.kvevents;

import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where events go.
 *
 * @param endpoint {@code tcp://*:5557} or {@code tcp://0.0.0.0:5557} to wait for readers, {@code
 *     tcp://HOST:5557} to go to one
 * @param replayEndpoint where missed events can be asked for, such as {@code tcp://*:5558}; null
 *     for nowhere
 * @param topic the first frame; llm-d's endpoint picker wants {@code kv@POD@MODEL}
 */
public record KvEventAddress(String endpoint, @Nullable String replayEndpoint, String topic) {
  private static final Pattern TCP = Pattern.compile("tcp://[^/:]+:(\\d{1,5}|\\*)");

  public KvEventAddress {
    check("--kv-events", endpoint);
    if (replayEndpoint != null) {
      check("--kv-events-replay", replayEndpoint);
    }
  }

  private static void check(String option, String endpoint) {
    if (!TCP.matcher(endpoint).matches()) {
      throw new IllegalArgumentException(
          option + ": " + endpoint + " is no address such as tcp://*:5557 or tcp://router:5557");
    }
  }

  /** Whether readers come here; else this server goes to its reader. */
  boolean binds() {
    return endpoint.startsWith("tcp://*") || endpoint.startsWith("tcp://0.0.0.0");
  }
}
