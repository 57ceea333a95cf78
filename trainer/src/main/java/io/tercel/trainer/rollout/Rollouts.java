package io.tercel.trainer.rollout;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.StaleKv;
import io.tercel.trainer.data.PromptSet.Prompt;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Asks the engine for answers, in the class of rollouts, so that whoever chats meanwhile goes
 * first. What comes out is a function of prompts, weights and seeds alone, however the engine
 * batches it.
 */
public final class Rollouts implements AutoCloseable {
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

  /** Answers one prompt so many times. */
  public CompletableFuture<List<Rollout>> group(Prompt prompt, int size, long seed, StaleKv stale) {
    SamplingParams params =
        SamplingParams.builder()
            .n(size)
            .maxTokens(Math.min(sampling.maxTokens, engine.maxModelLen() - prompt.tokens().length))
            .temperature(sampling.temperature)
            .topP(sampling.topP)
            .seed(seed)
            .build();
    Generation generation =
        engine.submit(
            new GenerationRequest(prompt.id(), prompt.tokens(), params)
                .withServiceClass(ServiceClass.ROLLOUT)
                .withStaleKv(stale));
    return CompletableFuture.supplyAsync(() -> read(prompt, size, generation), readers);
  }

  private static List<Rollout> read(Prompt prompt, int size, Generation generation) {
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      answers.add(new Answer());
    }
    Rollout[] done = new Rollout[size];
    try {
      for (int open = size; open > 0; ) {
        switch (generation.take()) {
          case EngineEvent.Token token -> answers.get(token.choice()).add(token);
          case EngineEvent.Finished end -> {
            done[end.choice()] = answers.get(end.choice()).end(prompt, end.reason());
            open--;
          }
          case EngineEvent.Failed failed -> throw new IllegalStateException(failed.message());
          case EngineEvent.Started _, EngineEvent.PromptScored _ -> {}
        }
      }
      return List.of(done);
    } catch (InterruptedException e) {
      generation.cancel();
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the model answered", e);
    }
  }

  /** An answer as it comes. */
  private static final class Answer {
    private int count;
    private int[] tokens = new int[64];
    private float[] logProbs = new float[64];
    private long[] versions = new long[64];
    private boolean[] forced = new boolean[64];

    void add(EngineEvent.Token token) {
      if (count == tokens.length) {
        resize(2 * count);
      }
      TokenResult result = token.result();
      tokens[count] = result.tokenId();
      logProbs[count] = result.logprob();
      versions[count] = token.weightVersion();
      forced[count++] = token.forced();
    }

    private void resize(int length) {
      tokens = Arrays.copyOf(tokens, length);
      logProbs = Arrays.copyOf(logProbs, length);
      versions = Arrays.copyOf(versions, length);
      forced = Arrays.copyOf(forced, length);
    }

    Rollout end(Prompt prompt, FinishReason reason) {
      resize(count);
      return new Rollout(prompt, tokens, logProbs, versions, forced, reason);
    }
  }

  @Override
  public void close() {
    readers.shutdownNow();
  }
}
