package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.model.ServingOptions;
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
      description =
          "sequences of one class of service that may wait; beyond, a 429 (default: ${DEFAULT-VALUE})")
  int maxWaiting = 1024;

  @Option(
      names = "--max-choices",
      paramLabel = "N",
      description =
          "sequences that one request may ask for, its n times its prompts; each keeps a copy of its"
              + " prompt, and all of them must find room to wait (default: ${DEFAULT-VALUE})")
  int maxChoices = EngineConfig.DEFAULT_MAX_CHOICES;

  @Option(
      names = "--kv-cache-dtype",
      paramLabel = "TYPE",
      description =
          "auto, fp32, fp16 or int4: how keys and values are stored (default: auto, which is int4 for 3-bit"
              + " weights with heads of 64 or more, else fp16)")
  String kvCacheDtype = "auto";

  @Option(
      names = "--lm-head-dtype",
      paramLabel = "TYPE",
      description =
          "auto or int8: how the head is kept; int8 reads half the bytes of 16 bits and says at load"
              + " what it loses (default: auto, which is as stored)")
  String lmHeadDtype = "auto";

  @Option(
      names = "--kv-cache-memory",
      paramLabel = "SIZE",
      converter = ByteSizeConverter.class,
      description =
          "size of the KV pool, e.g. 4G (default: what the sequences can use, at most 80 %% of the free memory)")
  @Nullable Long kvCacheMemory;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description =
          "auto, jit, vector, scalar or tornado, which is a GPU (default: auto, which is jit where"
              + " the processor has AVX-512 with VNNI, else vector)")
  String backend = "auto";

  @Option(
      names = "--device",
      paramLabel = "I",
      description = "which device of the tornado backend; see tercel devices (default: 0)")
  int device;

  @Mixin final EngineOptions engine = new EngineOptions();

  /**
   * What these options say, checked.
   *
   * @throws UserException naming the option
   */
  ServingOptions serving() {
    ServingOptions serving =
        new ServingOptions()
            .backend(backend)
            .device(device)
            .threads(threads)
            .maxModelLen(maxModelLen)
            .maxNumSeqs(maxNumSeqs)
            .maxNumBatchedTokens(maxNumBatchedTokens)
            .maxWaiting(maxWaiting)
            .maxChoices(maxChoices)
            .kvCacheDtype(kvCacheDtype)
            .lmHeadDtype(lmHeadDtype)
            .kvCacheMemory(kvCacheMemory);
    engine.addTo(serving);
    serving.check();
    return serving;
  }
}
