package io.tercel.server.cli;

import java.net.URI;
import org.jspecify.annotations.Nullable;

/** A server that can be asked at an address until it is closed. */
public interface RunningServer extends AutoCloseable {
  /** Such as {@code http://127.0.0.1:8000}. */
  URI url();

  /** What to send as a bearer token; null for none. */
  default @Nullable String apiKey() {
    return null;
  }

  @Override
  void close();
}
