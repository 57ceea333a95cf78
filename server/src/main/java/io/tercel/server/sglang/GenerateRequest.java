package io.tercel.server.sglang;

import io.tercel.server.engine.SamplingParams;
import io.tercel.server.request.CommonFields;
import io.tercel.server.text.PromptThought;
import java.util.List;

/**
 * A request of {@code /generate}, ready to be submitted.
 *
 * @param listed whether the answer is a list: of several prompts, or of several choices
 */
record GenerateRequest(List<Prompt> prompts, boolean stream, boolean listed) {

  /**
   * One of its prompts.
   *
   * @param id as its answers carry it
   * @param thought how far it has come with one
   * @param interval tokens from one streamed part to the next
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Prompt(
      String id,
      CommonFields common,
      int[] ids,
      PromptThought thought,
      SamplingParams params,
      Scored scored,
      int interval) {}

  /**
   * Which log-probs are wanted.
   *
   * @param wanted whether any are
   * @param from place of the first prompt token that is told of; the prompt's length for none
   * @param top likeliest tokens besides
   * @param texts whether tokens come with their texts
   */
  record Scored(boolean wanted, int from, int top, boolean texts) {}
}
