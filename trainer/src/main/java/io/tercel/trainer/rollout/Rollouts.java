package io.tercel.trainer.rollout;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.OverloadedException;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.StaleKv;
import io.tercel.trainer.data.PromptSet.Prompt;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * Asks the engine for answers, in the class of rollouts, so that whoever chats meanwhile goes
 * first. What comes out is a function of prompts, weights and seeds alone, however the engine
 * batches it.
 */
public final class Rollouts implements RolloutSource {
  /** A step takes longer. */
  private static final long ROOM_CHECK_MILLIS = 5;

  private final Engine engine;
  private final Sampling sampling;
  private final ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor();

  /**
   * How answers are drawn.
   *
   * @param temperature 0 is greedy
   * @param maxTokens of an answer
   */
  public record Sampling(float temperature, float topP, int maxTokens) {
    /** The likeliest token each time. */
    public static Sampling greedy(int maxTokens) {
      return new Sampling(0, 1, maxTokens);
    }
  }

  public Rollouts(Engine engine, Sampling sampling) {
    this.engine = engine;
    this.sampling = sampling;
  }

  /**
   * Answers each prompt so many times, and waits for all.
   *
   * @param size answers a prompt
   * @param seed of the first answer; each has its own
   * @param stale what becomes of keys and values when new weights come meanwhile
   * @return a group for each prompt, in their order
   * @throws IllegalStateException if the engine has failed
   */
  public List<List<Rollout>> groups(List<Prompt> prompts, int size, long seed, StaleKv stale) {
    List<CompletableFuture<List<Rollout>>> groups = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      groups.add(group(prompts.get(i), size, seed + (long) i * size, stale));
    }
    return groups.stream().map(Rollouts::await).toList();
  }

  /**
   * Waits for a group.
   *
   * @throws IllegalStateException if the engine has failed
   */
  public static List<Rollout> await(CompletableFuture<List<Rollout>> group) {
    try {
      return group.join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
    }
  }

  @Override
  public CompletableFuture<List<Rollout>> group(Prompt prompt, int size, long seed, StaleKv stale) {
    SamplingParams params =
        SamplingParams.builder()
            .n(size)
            .maxTokens(maxTokens(prompt))
            .temperature(sampling.temperature)
            .topP(sampling.topP)
            .seed(seed)
            .build();
    GenerationRequest request =
        new GenerationRequest(prompt.id(), prompt.tokens(), params)
            .withServiceClass(ServiceClass.ROLLOUT)
            .withStaleKv(stale);
    Generation begun = submit(request);
    return CompletableFuture.supplyAsync(() -> read(prompt, size, request, begun), readers);
  }

  /** Null where so many wait already that no more may: the engine may serve others too. */
  private @Nullable Generation submit(GenerationRequest request) {
    try {
      return engine.submit(request);
    } catch (OverloadedException e) {
      if (e.closing()) {
        throw e;
      }
      return null;
    }
  }

  private Generation submitOnceThereIsRoom(GenerationRequest request) throws InterruptedException {
    while (true) {
      Thread.sleep(ROOM_CHECK_MILLIS);
      Generation generation = submit(request);
      if (generation != null) {
        return generation;
      }
    }
  }

  /** How long an answer to a prompt may get. */
  public int maxTokens(Prompt prompt) {
    return Math.min(sampling.maxTokens, engine.maxModelLen() - prompt.tokens().length);
  }

  /** How answers are drawn. */
  public Sampling sampling() {
    return sampling;
  }

  private List<Rollout> read(
      Prompt prompt, int size, GenerationRequest request, @Nullable Generation begun) {
    RolloutGroup group = new RolloutGroup(prompt, size);
    Generation generation = begun;
    try {
      if (generation == null) {
        generation = submitOnceThereIsRoom(request);
      }
      while (!group.whole()) {
        switch (generation.take()) {
          case EngineEvent.Token token -> {
            TokenResult result = token.result();
            group.add(
                token.choice(),
                result.tokenId(),
                result.logprob(),
                token.weightVersion(),
                token.forced());
          }
          case EngineEvent.Finished end -> group.end(end.choice(), end.reason());
          case EngineEvent.Failed failed -> throw new IllegalStateException(failed.message());
          case EngineEvent.Started _, EngineEvent.PromptScored _ -> {}
        }
      }
      return group.rollouts();
    } catch (InterruptedException e) {
      if (generation != null) {
        generation.cancel();
      }
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the model answered", e);
    }
  }

  @Override
  public void close() {
    readers.shutdownNow();
  }
}
