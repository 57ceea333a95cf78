package io.tercel.server.model;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.PackedCache;
import io.tercel.server.UserException;
import io.tercel.server.engine.ClassQuota;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.engine.PrefixCacheListener;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.speculation.Speculation;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * How a model is to be run. Every value has a default; set what shall differ before the model is
 * opened. Messages name the options of {@code tercel serve}.
 */
public final class ServingOptions {
  private String backend = "auto";
  private int device;
  private int threads = Runtime.getRuntime().availableProcessors();
  private @Nullable Integer maxModelLen;
  private int maxNumSeqs = 32;
  private int maxNumBatchedTokens = 512;
  private int maxWaiting = 1024;
  private int maxChoices = EngineConfig.DEFAULT_MAX_CHOICES;
  private final Map<ServiceClass, Integer> classMaxWaiting = new EnumMap<>(ServiceClass.class);
  private final Map<ServiceClass, Integer> placeShares = new EnumMap<>(ServiceClass.class);
  private final Map<ServiceClass, Integer> tokenShares = new EnumMap<>(ServiceClass.class);
  private String kvCacheDtype = "auto";
  private String lmHeadDtype = "auto";
  private String packedCache = "off";
  private @Nullable Long kvCacheMemory;
  private boolean prefixCaching = true;
  private Duration stallTimeout = Duration.ofSeconds(60);
  private Speculation.Method speculative = Speculation.Method.OFF;
  private int speculativeTokens = Speculation.DEFAULT_TOKENS;
  private PrefixCacheListener prefixCacheListener = PrefixCacheListener.NONE;
  private ReasoningDefaults reasoning = new ReasoningDefaults(-1, true);

  /** {@code auto}, {@code jit}, {@code vector}, {@code scalar} or {@code tornado}. */
  public ServingOptions backend(String name) {
    backend = name;
    return this;
  }

  /** Which device of the tornado backend. */
  public ServingOptions device(int index) {
    device = index;
    return this;
  }

  /** Compute threads; one a core by default. */
  public ServingOptions threads(int count) {
    threads = count;
    return this;
  }

  /** Prompt and output tokens of one sequence; null for what the model was made for. */
  public ServingOptions maxModelLen(@Nullable Integer tokens) {
    maxModelLen = tokens;
    return this;
  }

  /** Sequences computed at a time. */
  public ServingOptions maxNumSeqs(int sequences) {
    maxNumSeqs = sequences;
    return this;
  }

  /** Tokens computed in one step. */
  public ServingOptions maxNumBatchedTokens(int tokens) {
    maxNumBatchedTokens = tokens;
    return this;
  }

  /** Sequences of a class that may wait, where the class has no limit of its own. */
  public ServingOptions maxWaiting(int requests) {
    maxWaiting = requests;
    return this;
  }

  /** Sequences that one request may ask for: its n times its prompts. */
  public ServingOptions maxChoices(int choices) {
    maxChoices = choices;
    return this;
  }

  /** Sequences of some classes that may wait. */
  public ServingOptions classMaxWaiting(Map<ServiceClass, Integer> sequences) {
    classMaxWaiting.putAll(sequences);
    return this;
  }

  /** Weights of some classes' shares of running places and KV blocks. */
  public ServingOptions placeShares(Map<ServiceClass, Integer> weights) {
    placeShares.putAll(weights);
    return this;
  }

  /** Weights of some classes' shares of a step's tokens. */
  public ServingOptions tokenShares(Map<ServiceClass, Integer> weights) {
    tokenShares.putAll(weights);
    return this;
  }

  /** {@code auto}, or a label of {@link KvType}. */
  public ServingOptions kvCacheDtype(String label) {
    kvCacheDtype = label;
    return this;
  }

  /** {@code auto}, which is as stored, or {@code int8}. */
  public ServingOptions lmHeadDtype(String label) {
    lmHeadDtype = label;
    return this;
  }

  /**
   * {@code auto}, which is in the model's directory, {@code off}, or a folder: where packed weights
   * are kept. Off unless set: only who serves for long gains by it.
   */
  public ServingOptions packedCache(String place) {
    packedCache = place;
    return this;
  }

  /** Bytes of the KV pool; null for what the sequences can use and memory holds. */
  public ServingOptions kvCacheMemory(@Nullable Long bytes) {
    kvCacheMemory = bytes;
    return this;
  }

  /** Whether a prompt's beginning is taken from those before it. */
  public ServingOptions prefixCaching(boolean on) {
    prefixCaching = on;
    return this;
  }

  /** How long a client may leave a full queue unread. */
  public ServingOptions stallTimeout(Duration timeout) {
    stallTimeout = timeout;
    return this;
  }

  /** Where drafts come from. */
  public ServingOptions speculative(Speculation.Method method) {
    speculative = method;
    return this;
  }

  /** The longest draft, in tokens. */
  public ServingOptions speculativeTokens(int tokens) {
    speculativeTokens = tokens;
    return this;
  }

  /** Bounds of a thought where the request has none. */
  public ServingOptions reasoning(ReasoningDefaults defaults) {
    reasoning = defaults;
    return this;
  }

  /** Who hears what the prefix cache holds. */
  public ServingOptions prefixCacheListener(PrefixCacheListener listener) {
    prefixCacheListener = listener;
    return this;
  }

  public String backend() {
    return backend;
  }

  public int device() {
    return device;
  }

  public int threads() {
    return threads;
  }

  public @Nullable Integer maxModelLen() {
    return maxModelLen;
  }

  public int maxNumSeqs() {
    return maxNumSeqs;
  }

  public int maxNumBatchedTokens() {
    return maxNumBatchedTokens;
  }

  public int maxWaiting() {
    return maxWaiting;
  }

  public int maxChoices() {
    return maxChoices;
  }

  /** What a class is entitled to. */
  public ClassQuota quota(ServiceClass of) {
    ClassQuota usual = ClassQuota.usual(of, maxWaiting);
    return new ClassQuota(
        classMaxWaiting.getOrDefault(of, usual.maxWaiting()),
        placeShares.getOrDefault(of, usual.placeShare()),
        tokenShares.getOrDefault(of, usual.tokenShare()));
  }

  public @Nullable Long kvCacheMemory() {
    return kvCacheMemory;
  }

  public boolean prefixCaching() {
    return prefixCaching;
  }

  public Duration stallTimeout() {
    return stallTimeout;
  }

  /** How tokens are drafted, if they are. */
  public Speculation speculation() {
    return new Speculation(speculative, speculativeTokens, false);
  }

  public ReasoningDefaults reasoning() {
    return reasoning;
  }

  public PrefixCacheListener prefixCacheListener() {
    return prefixCacheListener;
  }

  /**
   * The chosen KV type; null is auto.
   *
   * @throws UserException if it is none
   */
  public @Nullable KvType kvType() {
    if (kvCacheDtype.equals("auto")) {
      return null;
    }
    for (KvType type : KvType.values()) {
      if (type.label().equals(kvCacheDtype)) {
        return type;
      }
    }
    String known =
        Arrays.stream(KvType.values()).map(KvType::label).collect(Collectors.joining(", "));
    throw new UserException(
        "--kv-cache-dtype: %s isn't available; choose auto, %s".formatted(kvCacheDtype, known));
  }

  /**
   * The chosen head.
   *
   * @throws UserException if it is none, or the backend has no kernel for it
   */
  public LmHeadType lmHeadType() {
    for (LmHeadType type : LmHeadType.values()) {
      if (type.label().equals(lmHeadDtype)) {
        if (type == LmHeadType.INT8 && backend.equals(Backends.TORNADO)) {
          throw new UserException(
              "--lm-head-dtype: int8 isn't available on the tornado backend; choose auto");
        }
        return type;
      }
    }
    String known =
        Arrays.stream(LmHeadType.values()).map(LmHeadType::label).collect(Collectors.joining(", "));
    throw new UserException(
        "--lm-head-dtype: %s isn't available; choose one of %s".formatted(lmHeadDtype, known));
  }

  /** Where the packed weights of the model in a directory are kept. */
  PackedCache packedCache(Path model) {
    return switch (packedCache) {
      case "off" -> PackedCache.off();
      case "auto" -> PackedCache.beside(model);
      default -> PackedCache.in(Path.of(packedCache));
    };
  }

  /**
   * Checks what does not depend on the model.
   *
   * @throws UserException naming the option
   */
  public void check() {
    atLeast("--threads", threads, 1);
    atLeast("--max-num-seqs", maxNumSeqs, 1);
    atLeast("--max-waiting", maxWaiting, 0);
    atLeast("--max-choices", maxChoices, 1);
    classMaxWaiting.values().forEach(n -> atLeast("--class-max-waiting", n, 0));
    placeShares.values().forEach(n -> share("--class-places", n));
    tokenShares.values().forEach(n -> share("--class-tokens", n));
    if (maxNumBatchedTokens < maxNumSeqs) {
      throw new UserException(
          "--max-num-batched-tokens: %d is below --max-num-seqs %d; every running sequence needs one token a step"
              .formatted(maxNumBatchedTokens, maxNumSeqs));
    }
    if (maxModelLen != null) {
      atLeast("--max-model-len", maxModelLen, 2);
    }
    if (!Backends.isKnown(backend)) {
      throw new UserException(
          "--backend: %s isn't available; choose one of auto, jit, vector, scalar, tornado"
              .formatted(backend));
    }
    if (device != 0 && !backend.equals(Backends.TORNADO)) {
      throw new UserException("--device: the %s backend has none".formatted(backend));
    }
    kvType();
    lmHeadType();
    checkPackedCache();
    if (stallTimeout.compareTo(Duration.ofMillis(1)) < 0) {
      throw new UserException("--stall-timeout: " + stallTimeout + " is not a positive time");
    }
    atLeast("--speculative-tokens", speculativeTokens, 1);
    if (speculativeTokens > Speculation.MOST) {
      throw new UserException(
          "--speculative-tokens: %d is too large; at most %d"
              .formatted(speculativeTokens, Speculation.MOST));
    }
    atLeast("--reasoning-budget", reasoning.budget(), -1);
  }

  private void checkPackedCache() {
    try {
      if (packedCache.isBlank() || Files.isRegularFile(Path.of(packedCache))) {
        throw new UserException(
            "--packed-cache: '%s' is no folder; choose auto, off or a folder"
                .formatted(packedCache));
      }
    } catch (InvalidPathException e) {
      throw new UserException("--packed-cache: " + e.getMessage(), e);
    }
  }

  private static void share(String option, int weight) {
    atLeast(option, weight, 1);
    if (weight > 1_000_000) {
      throw new UserException("%s: %d is too large; at most 1000000".formatted(option, weight));
    }
  }

  private static void atLeast(String option, int value, int min) {
    if (value < min) {
      throw new UserException("%s: %d is too small; at least %d".formatted(option, value, min));
    }
  }
}
