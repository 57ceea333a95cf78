package io.tercel.server.cli;

import io.tercel.kernels.memory.KvType;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of every command that runs a model. */
final class ModelOptions {
  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "compute threads (default: one a core)")
  int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--max-model-len",
      paramLabel = "TOKENS",
      description =
          "prompt and output tokens of one sequence (default: what the model was made for, at most 32768)")
  @Nullable Integer maxModelLen;

  @Option(
      names = "--max-num-seqs",
      paramLabel = "N",
      description = "sequences computed at a time (default: ${DEFAULT-VALUE})")
  int maxNumSeqs = 32;

  @Option(
      names = "--max-num-batched-tokens",
      paramLabel = "N",
      description = "tokens computed in one step (default: ${DEFAULT-VALUE})")
  int maxNumBatchedTokens = 512;

  @Option(
      names = "--max-waiting",
      paramLabel = "N",
      description = "requests that may wait; beyond, a 429 (default: ${DEFAULT-VALUE})")
  int maxWaiting = 1024;

  @Option(
      names = "--kv-cache-dtype",
      paramLabel = "TYPE",
      description =
          "auto, fp32, fp16 or int4: how keys and values are stored (default: auto, which is int4 for 3-bit"
              + " weights with heads of 64 or more, else fp16)")
  String kvCacheDtype = "auto";

  @Option(
      names = "--kv-cache-memory",
      paramLabel = "SIZE",
      converter = ByteSize.class,
      description =
          "size of the KV pool, e.g. 4G (default: what the sequences can use, at most 80 %% of the free memory)")
  @Nullable Long kvCacheMemory;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description =
          "auto, vector, scalar or tornado, which is a GPU (default: auto, which is vector)")
  String backend = "auto";

  @Option(
      names = "--device",
      paramLabel = "I",
      description = "which device of the tornado backend; see tercel devices (default: 0)")
  int device;

  @Mixin final EngineOptions engine = new EngineOptions();

  /**
   * The chosen KV type; null is auto.
   *
   * @throws UserException if it is none
   */
  @Nullable KvType kvType() {
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
   * Checks what does not depend on the model.
   *
   * @throws UserException naming the option
   */
  void check() {
    atLeast("--threads", threads, 1);
    atLeast("--max-num-seqs", maxNumSeqs, 1);
    atLeast("--max-waiting", maxWaiting, 0);
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
          "--backend: %s isn't available; choose one of auto, vector, scalar, tornado"
              .formatted(backend));
    }
    if (device != 0 && !backend.equals(Backends.TORNADO)) {
      throw new UserException("--device: the %s backend has none".formatted(backend));
    }
    kvType();
    engine.check();
  }

  private static void atLeast(String option, int value, int min) {
    if (value < min) {
      throw new UserException("%s: %d is too small; at least %d".formatted(option, value, min));
    }
  }
}
