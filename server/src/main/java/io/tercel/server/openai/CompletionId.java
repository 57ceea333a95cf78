package io.tercel.server.openai;

import java.util.UUID;

/**
 * What is the same in every chunk of an answer.
 *
 * @param created in seconds since 1970
 */
public record CompletionId(String id, long created, String model, String fingerprint) {

  /** For a client that names its request itself. */
  static CompletionId of(String id, String model, ApiConfig config) {
    return new CompletionId(
        id, System.currentTimeMillis() / 1000, model, config.systemFingerprint().get());
  }

  /** An id for a tool call. */
  static String toolCall() {
    return "call_" + UUID.randomUUID().toString().replace("-", "");
  }

  static CompletionId next(String prefix, String model, ApiConfig config) {
    String id = prefix + UUID.randomUUID().toString().replace("-", "");
    return of(id, model, config);
  }
}
