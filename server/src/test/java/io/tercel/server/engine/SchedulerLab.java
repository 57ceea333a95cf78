package io.tercel.server.engine;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A scheduler without an engine: adds sequences, makes steps and books them. */
final class SchedulerLab {
  final BlockManager blocks;
  final Scheduler scheduler;
  private long arrival;
  private long weightVersion;
  private int token;

  SchedulerLab(int numBlocks, int maxNumSeqs, int budget) {
    this(
        numBlocks,
        EngineConfig.builder(4 * numBlocks, 1 << 20)
            .maxNumSeqs(maxNumSeqs)
            .maxNumBatchedTokens(budget)
            .build());
  }

  /** With blocks of 4 tokens. */
  SchedulerLab(int numBlocks, EngineConfig config) {
    blocks = new BlockManager(numBlocks, 4, true);
    scheduler = new Scheduler(blocks, config, 0);
  }

  /** A prompt that shares no block with any other. */
  int[] prompt(int length) {
    int[] prompt = new int[length];
    Arrays.setAll(prompt, _ -> token++);
    return prompt;
  }

  /** A request of one choice with so long a prompt. */
  Sequence add(ServiceClass c, int priority, int length) {
    return add(request(prompt(length), 1).withServiceClass(c).withPriority(priority)).getFirst();
  }

  Sequence add(ServiceClass c, int length) {
    return add(c, 0, length);
  }

  static GenerationRequest request(int[] prompt, int n) {
    return new GenerationRequest("x", prompt, SamplingParams.builder().n(n).maxTokens(99).build());
  }

  List<Sequence> add(GenerationRequest request) {
    QueuedGeneration generation =
        new QueuedGeneration(request.id(), request.params().n(), new Nobody());
    List<Sequence> choices = Sequence.choices(generation, request, arrival++);
    scheduler.add(choices);
    return choices;
  }

  /** Computes a step; who was in it. */
  List<Sequence> step() {
    return List.copyOf(counts().keySet());
  }

  /** Computes a step; how many tokens each had in it. */
  Map<Sequence, Integer> counts() {
    List<Chunk> chunks = scheduler.schedule();
    scheduler.checkInvariants();
    Map<Sequence, Integer> counts = new LinkedHashMap<>();
    for (Chunk chunk : chunks) {
      Sequence s = chunk.sequence();
      counts.put(s, chunk.count());
      scheduler.computed(s, chunk.count());
      if (!s.started()) {
        s.start(weightVersion);
      }
      if (s.numNewTokens() == 0) {
        s.append(token++);
      }
    }
    return counts;
  }

  void newWeights() {
    scheduler.weightsChanged(++weightVersion, true);
    scheduler.checkInvariants();
  }

  /** Its client reads nothing for so long that its queue is full. */
  static void stall(Sequence s) {
    for (int i = 0; i < QueuedGeneration.CAPACITY; i++) {
      s.generation()
          .post(new EngineEvent.Token(s.choice(), new TokenResult(0, 0, 0, List.of()), 0, false));
    }
  }

  /** An engine that nobody listens to. */
  static final class Nobody implements QueuedGeneration.Owner {
    @Override
    public void onRoom() {}

    @Override
    public void onEnd(QueuedGeneration generation, int choice, EngineEvent.FinishReason reason) {}
  }
}
