package io.tercel.trainer.eval;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.client.ChatAnswer;
import org.jspecify.annotations.Nullable;

/**
 * One answer to one problem.
 *
 * @param seed the run's
 * @param requestSeed the request's, drawn from the run's and the problem's place; null if greedy
 * @param given the answer that was found; null if none was
 * @param error why there is no completion; null if there is one
 */
public record EvalResult(
    BenchmarkProblem problem,
    long seed,
    @Nullable Long requestSeed,
    ChatAnswer answer,
    @Nullable String given,
    boolean correct,
    @Nullable String error) {
  /** The finish reason of a problem whose request failed. */
  static final String ERROR = "error";

  EvalResult judged(AnswerChecker.Verdict verdict) {
    return new EvalResult(
        problem, seed, requestSeed, answer, verdict.given(), verdict.correct(), error);
  }

  /** One line of the results file. */
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("id", problem.id());
    if (problem.family() != null) {
      json.put("family", problem.family());
    }
    json.put("problem", problem.question());
    json.put("answer", problem.answer());
    json.put("given", given);
    json.put("correct", correct);
    json.put("finish_reason", answer.finishReason());
    json.put("seed", seed);
    if (requestSeed != null) {
      json.put("request_seed", requestSeed);
    }
    json.put("prompt_tokens", answer.promptTokens());
    json.put("tokens", answer.completionTokens());
    json.put("reasoning_tokens", answer.reasoningTokens());
    json.put("thinking", answer.thinking());
    json.put("text", answer.text());
    if (error != null) {
      json.put("error", error);
    }
    return json;
  }
}
