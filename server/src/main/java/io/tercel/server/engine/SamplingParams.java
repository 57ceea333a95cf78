package io.tercel.server.engine;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How one request is sampled and when it ends. All values are checked by {@link Engine#submit};
 * stop <em>strings</em> are the text layer's business, which stops the choice when it sees one.
 *
 * @param n choices, each a sequence of its own
 * @param maxTokens most tokens to generate, thinking included
 * @param minTokens end tokens are not drawn before this many
 * @param temperature 0 is greedy
 * @param topP in (0, 1]
 * @param topK 0 keeps all
 * @param minP in [0, 1]
 * @param presencePenalty in [-2, 2]
 * @param frequencyPenalty in [-2, 2]
 * @param repetitionPenalty above 0; 1 is none
 * @param logitBias by token id
 * @param seed all randomness comes from it
 * @param stopTokenIds end the choice with finish reason stop, beside the model's own end tokens
 * @param ignoreEos the model's own end tokens do not end the choice
 * @param numLogprobs likeliest ids to report with every generated token; 0 for none, the drawn
 *     token's own log-prob always comes
 * @param promptLogprobs likeliest ids to report with every prompt token, or -1 not to score the
 *     prompt at all
 * @param thinking how the model thinks, for a budget and for loops; null when it does not
 * @param breakLoops whether a text that repeats itself is ended, see {@link LoopDetector}
 * @param constraint the form that the answer must have; null for any
 */
public record SamplingParams(
    int n,
    int maxTokens,
    int minTokens,
    float temperature,
    float topP,
    int topK,
    float minP,
    float presencePenalty,
    float frequencyPenalty,
    float repetitionPenalty,
    Map<Integer, Float> logitBias,
    long seed,
    Set<Integer> stopTokenIds,
    boolean ignoreEos,
    int numLogprobs,
    int promptLogprobs,
    @Nullable Thinking thinking,
    boolean breakLoops,
    @Nullable Constraint constraint) {

  public SamplingParams {
    logitBias = Map.copyOf(logitBias);
    stopTokenIds = Set.copyOf(stopTokenIds);
  }

  /** Without a watch over thought and loops. */
  public SamplingParams(
      int n,
      int maxTokens,
      int minTokens,
      float temperature,
      float topP,
      int topK,
      float minP,
      float presencePenalty,
      float frequencyPenalty,
      float repetitionPenalty,
      Map<Integer, Float> logitBias,
      long seed,
      Set<Integer> stopTokenIds,
      boolean ignoreEos,
      int numLogprobs,
      int promptLogprobs) {
    this(
        n,
        maxTokens,
        minTokens,
        temperature,
        topP,
        topK,
        minP,
        presencePenalty,
        frequencyPenalty,
        repetitionPenalty,
        logitBias,
        seed,
        stopTokenIds,
        ignoreEos,
        numLogprobs,
        promptLogprobs,
        null,
        false,
        null);
  }

  /** The same with a watch over thought and loops. */
  public SamplingParams watching(@Nullable Thinking thought, boolean loops) {
    return with(thought, loops, constraint);
  }

  /** The same with a form that the answer must have. */
  public SamplingParams constrained(@Nullable Constraint form) {
    return with(thinking, breakLoops, form);
  }

  private SamplingParams with(
      @Nullable Thinking thought, boolean loops, @Nullable Constraint form) {
    return new SamplingParams(
        n,
        maxTokens,
        minTokens,
        temperature,
        topP,
        topK,
        minP,
        presencePenalty,
        frequencyPenalty,
        repetitionPenalty,
        logitBias,
        seed,
        stopTokenIds,
        ignoreEos,
        numLogprobs,
        promptLogprobs,
        thought,
        loops,
        form);
  }

  /** Greedy, one choice, nothing reported. */
  public static SamplingParams greedy(int maxTokens) {
    return new SamplingParams(
        1, maxTokens, 0, 0, 1, 0, 0, 0, 0, 1, Map.of(), 0, Set.of(), false, 0, -1);
  }
}
