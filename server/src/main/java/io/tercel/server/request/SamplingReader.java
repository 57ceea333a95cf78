package io.tercel.server.request;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.tercel.kernels.format.GenerationDefaults;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.SamplingParams;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Reads the fields of a request that say how tokens are drawn; both completion routes have them.
 */
public final class SamplingReader {
  private static final double MAX = RequestFields.UNBOUNDED;
  private static final int MAX_BIASES = 4096;
  private static final int MAX_STOP_IDS = 1024;
  public static final int MAX_LOGPROBS = 20;

  private final RequestFields fields;
  private final GenerationDefaults defaults;

  public SamplingReader(RequestFields fields, GenerationDefaults defaults) {
    this.fields = fields;
    this.defaults = defaults;
  }

  /**
   * Reads all of them.
   *
   * @param common already read, as are the log-probs
   * @param maxTokens already read and fitted to the prompt
   */
  public SamplingParams read(
      CommonFields common, int maxTokens, int numLogprobs, int promptLogprobs) {
    return SamplingParams.builder()
        .n(common.n())
        .maxTokens(maxTokens)
        .minTokens(fields.integer("min_tokens", 0, 0, maxTokens))
        .temperature(fields.number("temperature", defaults.temperature(), 0, MAX))
        .topP(positive("top_p", defaults.topP(), 1))
        .topK(topK())
        .minP(fields.number("min_p", defaults.minP(), 0, 1))
        .presencePenalty(fields.number("presence_penalty", 0, -2, 2))
        .frequencyPenalty(fields.number("frequency_penalty", 0, -2, 2))
        .repetitionPenalty(positive("repetition_penalty", defaults.repetitionPenalty(), MAX))
        .logitBias(logitBias())
        .seed(seed())
        .stopTokenIds(stopTokenIds())
        .ignoreEos(fields.bool("ignore_eos", false))
        .numLogprobs(numLogprobs)
        .promptLogprobs(promptLogprobs)
        .processedLogprobs(common.returned().processedLogprobs())
        .build();
  }

  private float positive(String name, float absent, double max) {
    float value = fields.number(name, absent, 0, max);
    if (value <= 0) {
      throw ApiException.invalid(
          fields.path(name),
          max == MAX
              ? "%s must be above 0".formatted(fields.path(name))
              : "%s must be above 0 and at most %.0f".formatted(fields.path(name), max));
    }
    return value;
  }

  /** vLLM takes -1 for "all" too. */
  private int topK() {
    return Math.max(0, fields.integer("top_k", defaults.topK(), -1, Integer.MAX_VALUE));
  }

  private long seed() {
    JsonNode node = fields.get("seed");
    return node == null
        ? ThreadLocalRandom.current().nextLong()
        : RequestFields.integer(node, fields.path("seed"), Long.MIN_VALUE, Long.MAX_VALUE);
  }

  private Map<Integer, Float> logitBias() {
    RequestFields biases = fields.fields("logit_bias");
    if (biases == null) {
      return Map.of();
    }
    RequestFields.requireSize(biases.object(), fields.path("logit_bias"), MAX_BIASES);
    Map<Integer, Float> all = new HashMap<>();
    for (var entry : biases.object().properties()) {
      String path = fields.path("logit_bias." + entry.getKey());
      all.put(tokenId(entry.getKey()), RequestFields.number(entry.getValue(), path, -100, 100));
    }
    return all;
  }

  private int tokenId(String key) {
    if (key.matches("[0-9]{1,9}")) {
      return Integer.parseInt(key);
    }
    String path = fields.path("logit_bias");
    throw ApiException.invalid(path, path + " must have token ids as keys");
  }

  private Set<Integer> stopTokenIds() {
    ArrayNode array = fields.array("stop_token_ids");
    if (array == null) {
      return Set.of();
    }
    String path = fields.path("stop_token_ids");
    RequestFields.requireSize(array, path, MAX_STOP_IDS);
    Set<Integer> all = new HashSet<>();
    for (int i = 0; i < array.size(); i++) {
      all.add(RequestFields.integer(array.get(i), path + "[" + i + "]", 0, Integer.MAX_VALUE));
    }
    return all;
  }
}
