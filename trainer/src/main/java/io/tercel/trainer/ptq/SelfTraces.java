package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.model.RunningEngine;
import io.tercel.server.model.ServingOptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Documents that the full-precision model writes itself: prompts, each continued at temperature 0.6
 * and top-p 0.95. For reasoning models they are the best calibration, for they are what the
 * quantized model will see of itself.
 */
public final class SelfTraces {
  /** Sequences that are continued at a time. */
  private static final int AT_A_TIME = 16;

  private SelfTraces() {}

  /**
   * Continues prompts.
   *
   * @param ends ids that end a continuation
   * @param length prompt and continuation together, at most
   * @param seed of the first prompt; the next has the next
   * @return one document a prompt, the end token included where it came
   */
  public static List<int[]> write(
      Checkpoint source,
      List<int[]> prompts,
      Set<Integer> ends,
      int length,
      long seed,
      int threads) {
    for (int[] prompt : prompts) {
      if (prompt.length >= length) {
        throw new UserException(
            "--calibration-length: %d; a prompt alone has %d tokens"
                .formatted(length, prompt.length));
      }
    }
    ServingOptions options =
        new ServingOptions()
            .threads(threads)
            .maxModelLen(length)
            .maxNumSeqs(AT_A_TIME)
            .maxWaiting(Math.max(1, prompts.size()))
            .kvCacheDtype("fp32")
            .stallTimeout(READ_LATE);
    try (RunningEngine running = RunningEngine.open(source, options, ends, LoadProgress.SILENT)) {
      return continueAll(running.engine(), prompts, length, seed);
    }
  }

  /** Traces are read one after the other, so the last may wait long for its reader. */
  private static final Duration READ_LATE = Duration.ofDays(1);

  private static List<int[]> continueAll(
      Engine engine, List<int[]> prompts, int length, long seed) {
    List<Generation> open = new ArrayList<>();
    for (int[] prompt : prompts) {
      SamplingParams params =
          SamplingParams.builder()
              .maxTokens(length - prompt.length)
              .temperature(0.6f)
              .topP(0.95f)
              .seed(seed + open.size())
              .build();
      open.add(engine.submit(new GenerationRequest("trace-" + open.size(), prompt, params)));
    }
    List<int[]> documents = new ArrayList<>();
    for (int i = 0; i < open.size(); i++) {
      documents.add(document(prompts.get(i), open.get(i), length));
    }
    return documents;
  }

  private static int[] document(int[] prompt, Generation generation, int length) {
    int[] tokens = Arrays.copyOf(prompt, length);
    int count = prompt.length;
    try {
      while (true) {
        switch (generation.take()) {
          case EngineEvent.Token token -> tokens[count++] = token.result().tokenId();
          case EngineEvent.Finished _ -> {
            return Arrays.copyOf(tokens, count);
          }
          case EngineEvent.Failed failed -> throw new IllegalStateException(failed.message());
          case EngineEvent.Started _, EngineEvent.PromptScored _ -> {}
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the model wrote its traces", e);
    }
  }
}
