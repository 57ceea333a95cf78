package io.tercel.server.engine;

/** What a request must satisfy before it is queued; every refusal names the field and the range. */
final class RequestCheck {
  private final EngineConfig config;
  private final int maxModelLen;

  /**
   * @param maxModelLen the smaller of the configured one and the tokens that the KV pool holds
   */
  RequestCheck(EngineConfig config, int maxModelLen) {
    this.config = config;
    this.maxModelLen = maxModelLen;
  }

  /**
   * @throws InvalidRequestException if it can never run
   */
  void check(GenerationRequest request) {
    checkPrompt(request.promptTokens());
    checkParams(request.params());
    checkLength(request);
  }

  private void checkPrompt(int[] prompt) {
    if (prompt.length == 0) {
      throw invalid("prompt", "the prompt is empty; at least one token is needed");
    }
    for (int id : prompt) {
      if (id < 0 || id >= config.model().vocabSize()) {
        throw invalid(
            "prompt",
            "token id %d is outside the vocabulary of %d"
                .formatted(id, config.model().vocabSize()));
      }
    }
  }

  private void checkParams(SamplingParams p) {
    range("n", p.n(), 1, config.maxChoices());
    range(
        "max_tokens",
        p.ending().maxTokens(),
        p.reported().promptLogprobs() >= 0 ? 0 : 1,
        Integer.MAX_VALUE);
    range("min_tokens", p.ending().minTokens(), 0, p.ending().maxTokens());
    range("temperature", p.draw().temperature(), 0, Float.MAX_VALUE);
    range("top_p", p.draw().topP(), Float.MIN_VALUE, 1);
    range("top_k", p.draw().topK(), 0, Integer.MAX_VALUE);
    range("min_p", p.draw().minP(), 0, 1);
    range("presence_penalty", p.penalties().presence(), -2, 2);
    range("frequency_penalty", p.penalties().frequency(), -2, 2);
    range("repetition_penalty", p.penalties().repetition(), Float.MIN_VALUE, Float.MAX_VALUE);
    range("logprobs", p.reported().numLogprobs(), 0, config.model().vocabSize());
    range("prompt_logprobs", p.reported().promptLogprobs(), -1, config.model().vocabSize());
    for (int id : p.draw().logitBias().keySet()) {
      range("logit_bias", id, 0, config.model().vocabSize() - 1);
    }
    for (float bias : p.draw().logitBias().values()) {
      range("logit_bias", bias, -100, 100);
    }
    for (int id : p.ending().stopTokenIds()) {
      range("stop_token_ids", id, 0, config.model().vocabSize() - 1);
    }
    Thinking thinking = p.thinking();
    if (thinking != null) {
      range("thinking_token_budget", thinking.budget(), -1, Integer.MAX_VALUE);
      for (int id : thinking.closing()) {
        range("thinking_token_budget", id, 0, config.model().vocabSize() - 1);
      }
    }
  }

  private void checkLength(GenerationRequest request) {
    long prompt = request.promptTokens().length;
    long asked = prompt + Math.max(1, request.params().ending().maxTokens());
    int limit = maxModelLen;
    if (prompt + 1 > limit) {
      throw tooLong(
          "prompt",
          "This model's maximum context length is %d tokens, but the prompt has %d tokens; shorten the prompt."
              .formatted(limit, prompt));
    }
    if (asked > limit) {
      throw tooLong(
          "max_tokens",
          ("This model's maximum context length is %d tokens, but %d were requested (%d in the prompt, %d in the"
                  + " completion); ask for at most %d.")
              .formatted(
                  limit, asked, prompt, request.params().ending().maxTokens(), limit - prompt));
    }
  }

  private static void range(String param, double value, double min, double max) {
    if (!(value >= min && value <= max)) {
      throw invalid(
          param, "%s is %s; it must be %s".formatted(param, number(value), bounds(min, max)));
    }
  }

  private static String bounds(double min, double max) {
    String low = min == Float.MIN_VALUE ? "above 0" : "at least " + number(min);
    boolean open = max >= Integer.MAX_VALUE;
    return open ? low : low + " and at most " + number(max);
  }

  private static String number(double x) {
    return x == Math.rint(x) && Math.abs(x) < 1e15
        ? Long.toString((long) x)
        : Float.toString((float) x);
  }

  private static InvalidRequestException invalid(String param, String message) {
    return new InvalidRequestException(param, "invalid_value", message);
  }

  private static InvalidRequestException tooLong(String param, String message) {
    return new InvalidRequestException(param, "context_length_exceeded", message);
  }
}
