package io.tercel.server.engine;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How one request is sampled and when it ends; made by {@link #builder}. All values are checked by
 * {@link Engine#submit}; stop <em>strings</em> are the text layer's business, which stops the
 * choice when it sees one.
 *
 * @param n choices, each a sequence of its own
 * @param thinking how the model thinks, for a budget and for loops; null when it does not
 * @param form the form that the answer must have; null for any
 */
public record SamplingParams(
    int n,
    Draw draw,
    PenaltyWeights penalties,
    Ending ending,
    Reported reported,
    @Nullable Thinking thinking,
    @Nullable AnswerForm form) {

  /**
   * How a token is drawn from its logits.
   *
   * @param temperature 0 is greedy
   * @param topP in (0, 1]
   * @param topK 0 keeps all
   * @param minP in [0, 1]
   * @param logitBias by token id
   * @param seed all randomness comes from it
   */
  public record Draw(
      float temperature,
      float topP,
      int topK,
      float minP,
      Map<Integer, Float> logitBias,
      long seed) {
    public Draw {
      logitBias = Map.copyOf(logitBias);
    }
  }

  /**
   * What tokens lose that were there before.
   *
   * @param presence in [-2, 2]
   * @param frequency in [-2, 2]
   * @param repetition above 0; 1 is none
   */
  public record PenaltyWeights(float presence, float frequency, float repetition) {
    boolean none() {
      return presence == 0 && frequency == 0 && repetition == 1;
    }
  }

  /**
   * When a choice ends.
   *
   * @param maxTokens most tokens to generate, thinking included
   * @param minTokens end tokens are not drawn before this many
   * @param stopTokenIds end the choice with finish reason stop, beside the model's own end tokens
   * @param ignoreEos the model's own end tokens do not end the choice
   * @param breakLoops whether a text that repeats itself is ended, see {@link LoopDetector}
   */
  public record Ending(
      int maxTokens,
      int minTokens,
      Set<Integer> stopTokenIds,
      boolean ignoreEos,
      boolean breakLoops) {
    public Ending {
      stopTokenIds = Set.copyOf(stopTokenIds);
    }
  }

  /**
   * What is told besides the tokens.
   *
   * @param numLogprobs likeliest ids to report with every generated token; 0 for none, the drawn
   *     token's own log-prob always comes
   * @param promptLogprobs likeliest ids to report with every prompt token, or -1 not to score the
   *     prompt at all
   * @param processed whether generated tokens' log-probs are those of what they were drawn from,
   *     behind bias, penalties, masks, temperature and cuts; else the model's own. The prompt's are
   *     always the model's
   */
  public record Reported(int numLogprobs, int promptLogprobs, boolean processed) {}

  /**
   * Greedy, one choice, nothing reported, any form, no limit but one token; until told otherwise.
   */
  public static Builder builder() {
    return new Builder();
  }

  /** Greedy, one choice, nothing reported. */
  public static SamplingParams greedy(int maxTokens) {
    return builder().maxTokens(maxTokens).build();
  }

  /** The same with a watch over thought and loops. */
  public SamplingParams watching(@Nullable Thinking thought, boolean loops) {
    return toBuilder().thinking(thought).breakLoops(loops).build();
  }

  /** The same with a form that the answer must have. */
  public SamplingParams withForm(@Nullable AnswerForm form) {
    return toBuilder().form(form).build();
  }

  /** A builder that begins with these. */
  public Builder toBuilder() {
    return new Builder(this);
  }

  /** Sets the parameters by name. */
  public static final class Builder {
    private int n = 1;
    private int maxTokens = 1;
    private int minTokens;
    private float temperature;
    private float topP = 1;
    private int topK;
    private float minP;
    private float presencePenalty;
    private float frequencyPenalty;
    private float repetitionPenalty = 1;
    private Map<Integer, Float> logitBias = Map.of();
    private long seed;
    private Set<Integer> stopTokenIds = Set.of();
    private boolean ignoreEos;
    private int numLogprobs;
    private int promptLogprobs = -1;
    private boolean processedLogprobs;
    private @Nullable Thinking thinking;
    private boolean breakLoops;
    private @Nullable AnswerForm form;

    private Builder() {}

    private Builder(SamplingParams p) {
      n = p.n;
      maxTokens = p.ending.maxTokens;
      minTokens = p.ending.minTokens;
      temperature = p.draw.temperature;
      topP = p.draw.topP;
      topK = p.draw.topK;
      minP = p.draw.minP;
      presencePenalty = p.penalties.presence;
      frequencyPenalty = p.penalties.frequency;
      repetitionPenalty = p.penalties.repetition;
      logitBias = p.draw.logitBias;
      seed = p.draw.seed;
      stopTokenIds = p.ending.stopTokenIds;
      ignoreEos = p.ending.ignoreEos;
      numLogprobs = p.reported.numLogprobs;
      promptLogprobs = p.reported.promptLogprobs;
      processedLogprobs = p.reported.processed;
      thinking = p.thinking;
      breakLoops = p.ending.breakLoops;
      form = p.form;
    }

    public Builder n(int value) {
      n = value;
      return this;
    }

    public Builder maxTokens(int value) {
      maxTokens = value;
      return this;
    }

    public Builder minTokens(int value) {
      minTokens = value;
      return this;
    }

    public Builder temperature(float value) {
      temperature = value;
      return this;
    }

    public Builder topP(float value) {
      topP = value;
      return this;
    }

    public Builder topK(int value) {
      topK = value;
      return this;
    }

    public Builder minP(float value) {
      minP = value;
      return this;
    }

    public Builder presencePenalty(float value) {
      presencePenalty = value;
      return this;
    }

    public Builder frequencyPenalty(float value) {
      frequencyPenalty = value;
      return this;
    }

    public Builder repetitionPenalty(float value) {
      repetitionPenalty = value;
      return this;
    }

    public Builder logitBias(Map<Integer, Float> value) {
      logitBias = value;
      return this;
    }

    public Builder seed(long value) {
      seed = value;
      return this;
    }

    public Builder stopTokenIds(Set<Integer> value) {
      stopTokenIds = value;
      return this;
    }

    public Builder ignoreEos(boolean value) {
      ignoreEos = value;
      return this;
    }

    public Builder numLogprobs(int value) {
      numLogprobs = value;
      return this;
    }

    public Builder promptLogprobs(int value) {
      promptLogprobs = value;
      return this;
    }

    public Builder processedLogprobs(boolean value) {
      processedLogprobs = value;
      return this;
    }

    public Builder thinking(@Nullable Thinking value) {
      thinking = value;
      return this;
    }

    public Builder breakLoops(boolean value) {
      breakLoops = value;
      return this;
    }

    public Builder form(@Nullable AnswerForm value) {
      form = value;
      return this;
    }

    public SamplingParams build() {
      return new SamplingParams(
          n,
          new Draw(temperature, topP, topK, minP, logitBias, seed),
          new PenaltyWeights(presencePenalty, frequencyPenalty, repetitionPenalty),
          new Ending(maxTokens, minTokens, stopTokenIds, ignoreEos, breakLoops),
          new Reported(numLogprobs, promptLogprobs, processedLogprobs),
          thinking,
          form);
    }
  }
}
