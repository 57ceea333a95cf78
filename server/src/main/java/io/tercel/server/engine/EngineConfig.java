package io.tercel.server.engine;

import io.tercel.server.engine.speculation.Speculation;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;

/**
 * The engine's limits; made by {@link #builder}.
 *
 * @param model what the model allows
 * @param maxNumSeqs sequences in one step
 * @param maxNumBatchedTokens tokens in one step, decodes and prefill chunks together
 * @param maxChoices choices that one request may ask for
 * @param prefixCaching whether a prompt's beginning is taken from those before it
 * @param stallTimeout how long a client may leave a full queue unread before its request is ended
 * @param speculation how tokens are drafted, if they are
 * @param quotas what each class of service is entitled to
 * @param prefixCacheListener hears what the prefix cache holds
 */
public record EngineConfig(
    Model model,
    int maxNumSeqs,
    int maxNumBatchedTokens,
    int maxChoices,
    boolean prefixCaching,
    Duration stallTimeout,
    Speculation speculation,
    Map<ServiceClass, ClassQuota> quotas,
    PrefixCacheListener prefixCacheListener) {
  /** As many choices as OpenAI allows. */
  public static final int DEFAULT_MAX_CHOICES = 128;

  /** Time enough for any client that still reads. */
  public static final Duration DEFAULT_STALL_TIMEOUT = Duration.ofSeconds(60);

  /**
   * What the model allows.
   *
   * @param maxModelLen prompt and output tokens of one sequence
   * @param vocabSize ids are below this
   * @param eosTokenIds ids that end a choice
   */
  public record Model(int maxModelLen, int vocabSize, Set<Integer> eosTokenIds) {
    public Model {
      eosTokenIds = Set.copyOf(eosTokenIds);
      if (maxModelLen < 2) {
        throw new IllegalArgumentException(
            "max-model-len: " + maxModelLen + ", at least 2 is needed");
      }
    }
  }

  public EngineConfig {
    quotas = Map.copyOf(quotas);
    if (quotas.size() != ServiceClass.values().length) {
      throw new IllegalArgumentException("each class of service needs a quota");
    }
    if (maxNumSeqs < 1) {
      throw new IllegalArgumentException("max-num-seqs: " + maxNumSeqs + ", at least 1 is needed");
    }
    if (maxChoices < 1) {
      throw new IllegalArgumentException("max-choices: " + maxChoices + ", at least 1 is needed");
    }
    if (!stallTimeout.isPositive()) {
      throw new IllegalArgumentException("stall-timeout: " + stallTimeout + " is not positive");
    }
    if (maxNumBatchedTokens < maxNumSeqs) {
      throw new IllegalArgumentException(
          "max-num-batched-tokens: %d is below max-num-seqs: %d; every running sequence needs one"
              .formatted(maxNumBatchedTokens, maxNumSeqs));
    }
  }

  /** What a class is entitled to. */
  public ClassQuota quota(ServiceClass of) {
    ClassQuota quota = quotas.get(of);
    if (quota == null) {
      throw new IllegalStateException("no quota of " + of.label()); // the constructor has seen them
    }
    return quota;
  }

  /** The defaults of {@code serve}, for a model that allows so much. */
  public static Builder builder(int maxModelLen, int vocabSize) {
    return new Builder(maxModelLen, vocabSize);
  }

  /** Sets the limits by name. */
  public static final class Builder {
    private final int maxModelLen;
    private final int vocabSize;
    private Set<Integer> eosTokenIds = Set.of();
    private int maxNumSeqs = 32;
    private int maxNumBatchedTokens = 512;
    private int maxChoices = DEFAULT_MAX_CHOICES;
    private final Map<ServiceClass, ClassQuota> quotas = new EnumMap<>(ServiceClass.class);
    private boolean prefixCaching = true;
    private Duration stallTimeout = DEFAULT_STALL_TIMEOUT;
    private Speculation speculation = Speculation.OFF;
    private PrefixCacheListener prefixCacheListener = PrefixCacheListener.NONE;

    private Builder(int maxModelLen, int vocabSize) {
      this.maxModelLen = maxModelLen;
      this.vocabSize = vocabSize;
      maxWaiting(1024);
    }

    public Builder eosTokenIds(Set<Integer> value) {
      eosTokenIds = value;
      return this;
    }

    public Builder maxNumSeqs(int value) {
      maxNumSeqs = value;
      return this;
    }

    public Builder maxNumBatchedTokens(int value) {
      maxNumBatchedTokens = value;
      return this;
    }

    public Builder maxChoices(int value) {
      maxChoices = value;
      return this;
    }

    /** Gives every class its usual shares, and so many sequences that may wait. */
    public Builder maxWaiting(int value) {
      for (ServiceClass c : ServiceClass.values()) {
        quotas.put(c, ClassQuota.usual(c, value));
      }
      return this;
    }

    public Builder quota(ServiceClass of, ClassQuota value) {
      quotas.put(of, value);
      return this;
    }

    public Builder prefixCaching(boolean value) {
      prefixCaching = value;
      return this;
    }

    public Builder stallTimeout(Duration value) {
      stallTimeout = value;
      return this;
    }

    public Builder speculation(Speculation value) {
      speculation = value;
      return this;
    }

    public Builder prefixCacheListener(PrefixCacheListener value) {
      prefixCacheListener = value;
      return this;
    }

    public EngineConfig build() {
      return new EngineConfig(
          new Model(maxModelLen, vocabSize, eosTokenIds),
          maxNumSeqs,
          maxNumBatchedTokens,
          maxChoices,
          prefixCaching,
          stallTimeout,
          speculation,
          quotas,
          prefixCacheListener);
    }
  }
}
