package io.tercel.server.request;

import io.tercel.server.engine.EngineConfig;
import java.util.List;
import java.util.function.LongFunction;

/**
 * What the API calls its model and itself, on any wire.
 *
 * @param modelNames names that clients may ask for; the first is the one that answers carry
 * @param version of Tercel, for /version
 * @param systemFingerprint names a version of the weights, and the kernels
 * @param maxChoices sequences that one request may ask for: n times its prompts
 * @param storedResponseBytes memory for responses that clients may come back to; 0 keeps none
 */
public record ApiConfig(
    List<String> modelNames,
    String version,
    LongFunction<String> systemFingerprint,
    int maxChoices,
    long storedResponseBytes) {
  public ApiConfig {
    modelNames = List.copyOf(modelNames);
    if (modelNames.isEmpty()) {
      throw new IllegalArgumentException("a model needs a name");
    }
    if (maxChoices < 1) {
      throw new IllegalArgumentException("maxChoices must be positive, not " + maxChoices);
    }
    if (storedResponseBytes < 0) {
      throw new IllegalArgumentException(
          "storedResponseBytes must not be negative, but is " + storedResponseBytes);
    }
  }

  /** With the usual number of choices, and no memory for responses. */
  public ApiConfig(
      List<String> modelNames, String version, LongFunction<String> systemFingerprint) {
    this(modelNames, version, systemFingerprint, EngineConfig.DEFAULT_MAX_CHOICES, 0);
  }

  /** The same with so many choices of a request. */
  public ApiConfig allowingChoices(int choices) {
    return new ApiConfig(modelNames, version, systemFingerprint, choices, storedResponseBytes);
  }

  /** The same with memory for responses. */
  public ApiConfig storingResponses(long bytes) {
    return new ApiConfig(modelNames, version, systemFingerprint, maxChoices, bytes);
  }
}
