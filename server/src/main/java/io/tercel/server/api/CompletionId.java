package io.tercel.server.api;

import java.util.UUID;

/**
 * What is the same in every chunk of an answer.
 *
 * @param created in seconds since 1970
 */
public record CompletionId(String id, long created, String model, String fingerprint) {

  /** For a client that names its request itself. */
  static CompletionId of(String id, String model, HttpServerConfig config) {
    return new CompletionId(
        id, System.currentTimeMillis() / 1000, model, config.systemFingerprint().get());
  }

  /** An id for a tool call. */
  static String toolCall() {
    return "call_" + UUID.randomUUID().toString().replace("-", "");
  }

  static CompletionId next(String prefix, String model, HttpServerConfig config) {
    String id = prefix + UUID.randomUUID().toString().replace("-", "");
    return of(id, model, config);
  }
}
