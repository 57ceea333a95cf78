package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/** The log-probs of a chat choice, one entry a token. */
public record ChatLogprobs(List<Entry> content) {

  /**
   * A generated token.
   *
   * @param bytes of the token, which need not be whole characters; unsigned
   */
  public record Entry(
      String token,
      float logprob,
      List<Integer> bytes,
      @JsonProperty("top_logprobs") List<Top> topLogprobs) {}

  /** One of the likeliest tokens in its place. */
  public record Top(String token, float logprob, List<Integer> bytes) {}
}
