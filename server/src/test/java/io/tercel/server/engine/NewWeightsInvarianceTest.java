package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.jit.Processor;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A real model whose weights change while requests of all classes run, of one choice and of
 * several, some of which drop their keys and some keep them. Each choice must have said, log-probs
 * to the last bit, what it would have said alone, computed by hand in a cache of its own by the
 * weights that its tokens name: all of its tokens anew at each change where keys are dropped or
 * were lost, only what was still to compute where they are kept.
 */
@Timeout(120)
class NewWeightsInvarianceTest {
  private static final int TOKENS = 70;
  private static final Set<Integer> CHANGES = Set.of(15, 33, 52); // after so many steps

  @TempDir private Path directory;

  private record Said(int id, int logprob, long version) {}

  /** A choice that has ended. */
  private record Answer(
      GenerationRequest request, int choice, List<Said> said, List<EngineEvent.BrokenKv> broken) {
    boolean changed() {
      return said.getFirst().version() != said.getLast().version();
    }
  }

  /** Two models of one shape; version v of the served weights is the one of v % 2. */
  private record Models(WeightStore even, WeightStore odd) {
    void put(long version, WeightStore into) {
      into.replaceWith(version % 2 == 0 ? even : odd);
    }
  }

  @ParameterizedTest
  @CsvSource({"FP32,200", "FP16,200", "INT4,200", "FP16,60", "INT4,60"})
  void choices_sayWhatTheyWouldSayAlone(KvType type, int blocks) throws Exception {
    try (WeightStore even = load("even", 42);
        WeightStore odd = load("odd", 43);
        WeightStore served = load("served", 42)) {
      Models models = new Models(even, odd);
      List<Answer> answers = new ArrayList<>();
      EngineStats stats = run(models, served, type, blocks, answers);
      System.out.println(type + ", " + blocks + " blocks: " + stats);
      try (CpuBackend alone = backend(served, type, 16)) {
        for (Answer answer : answers) {
          replay(models, served, alone, answer);
        }
      }
      checkSeen(answers, stats, blocks == 60);
    }
  }

  /**
   * Two models that transform their keys each its own way: nobody's kept cache outlives a change.
   */
  @Test
  void keysOfAnotherTransform_areComputedAnew_evenIfTheyWereToBeKept() throws Exception {
    try (WeightStore even = w4("even", 42);
        WeightStore odd = w4("odd", 43);
        WeightStore served = w4("served", 42)) {
      Models models = new Models(even, odd);
      List<Answer> answers = new ArrayList<>();
      run(models, served, KvType.INT4, 200, answers);
      try (CpuBackend alone = backend(served, KvType.INT4, 16)) {
        for (Answer answer : answers) {
          replay(models, served, alone, answer);
        }
      }
      List<Answer> kept =
          answers.stream()
              .filter(a -> a.changed() && a.request().staleKv() == StaleKv.KEEP)
              .toList();
      assertFalse(kept.isEmpty());
      assertTrue(kept.stream().noneMatch(a -> a.broken().isEmpty()), "each says that it was lost");
    }
  }

  private static void checkSeen(List<Answer> answers, EngineStats stats, boolean tight) {
    for (StaleKv staleKv : StaleKv.values()) {
      Set<ServiceClass> classes = EnumSet.noneOf(ServiceClass.class);
      for (Answer a : answers) {
        if (a.changed() && a.request().staleKv() == staleKv) {
          classes.add(a.request().serviceClass());
        }
      }
      assertEquals(EnumSet.allOf(ServiceClass.class), classes, "at new weights, " + staleKv);
      assertTrue(
          answers.stream()
              .anyMatch(a -> a.changed() && a.request().staleKv() == staleKv && a.choice() > 0),
          "later choices at new weights, " + staleKv);
    }
    assertTrue(stats.prefix().hits() > 0, "prefix hits");
    assertTrue(
        answers.stream()
            .allMatch(a -> a.broken().isEmpty() || a.request().staleKv() == StaleKv.KEEP));
    long broken = answers.stream().filter(a -> !a.broken().isEmpty()).count();
    if (tight) {
      assertTrue(stats.work().preemptions() > 0, "preemptions");
      assertTrue(broken > 0, "kept keys that were lost");
    } else {
      assertEquals(0, stats.work().preemptions());
      assertEquals(0, broken);
    }
  }

  /** All requests at once in one engine, whose weights change between steps. */
  private static EngineStats run(
      Models models, WeightStore served, KvType type, int blocks, List<Answer> answers)
      throws Exception {
    CompletableFuture<Engine> engine = new CompletableFuture<>();
    CpuBackend backend = backend(served, type, blocks);
    StepHook hooked =
        new StepHook(
            backend,
            step -> {
              if (CHANGES.contains(step)) {
                engine
                    .join()
                    .betweenSteps(
                        () -> {
                          models.put(served.version() + 1, served);
                          return null;
                        });
              }
            });
    EngineConfig config =
        EngineConfig.builder(300, served.config().vocabSize())
            .maxNumSeqs(32)
            .maxNumBatchedTokens(4096)
            .maxWaiting(100)
            .build();
    try (Engine e = new Engine(hooked, config)) {
      engine.complete(e);
      e.pause().get(10, TimeUnit.SECONDS);
      List<GenerationRequest> requests = requests();
      List<Generation> generations = new ArrayList<>();
      for (GenerationRequest request : requests) {
        generations.add(e.submit(request));
      }
      e.resume();
      for (int i = 0; i < requests.size(); i++) {
        read(requests.get(i), generations.get(i), answers);
      }
      return e.stats();
    }
  }

  /** Every class with kept and dropped keys, of one choice and of three; the prompts share. */
  private static List<GenerationRequest> requests() {
    Random random = new Random(9);
    int[] shared = random.ints(40, 0, 256).toArray();
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      int[] prompt = random.ints(45 + 3 * i, 0, 256).toArray();
      System.arraycopy(shared, 0, prompt, 0, shared.length);
      SamplingParams params =
          SamplingParams.builder()
              .n(i < 6 ? 1 : 3)
              .maxTokens(TOKENS)
              .temperature(1)
              .seed(i)
              .ignoreEos(true)
              .build();
      requests.add(
          new GenerationRequest("r" + i, prompt, params)
              .withServiceClass(ServiceClass.values()[i % 3])
              .withStaleKv(StaleKv.values()[i / 3 % 2]));
    }
    return requests;
  }

  private static void read(GenerationRequest request, Generation generation, List<Answer> answers)
      throws InterruptedException {
    int n = request.params().n();
    List<List<Said>> said = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      said.add(new ArrayList<>());
    }
    for (int open = n; open > 0; ) {
      switch (generation.take()) {
        case EngineEvent.Started _ -> {}
        case EngineEvent.Token t ->
            said.get(t.choice())
                .add(
                    new Said(
                        t.result().tokenId(),
                        Float.floatToIntBits(t.result().logprob()),
                        t.weightVersion()));
        case EngineEvent.Finished f -> {
          open--;
          answers.add(new Answer(request, f.choice(), said.get(f.choice()), f.brokenKv()));
        }
        case EngineEvent other -> throw new AssertionError(other.toString());
      }
    }
  }

  /** The same tokens one by one, with nobody beside them. */
  private static void replay(Models models, WeightStore weights, CpuBackend alone, Answer answer) {
    int[] prompt = answer.request().promptTokens();
    int[] context = Arrays.copyOf(prompt, prompt.length + TOKENS);
    int[] table = new int[16];
    Arrays.setAll(table, i -> i);
    assertEquals(TOKENS, answer.said().size());
    int computed = 0;
    long version = -1;
    for (int i = 0; i < TOKENS; i++) {
      Said expected = answer.said().get(i);
      if (expected.version() != version) {
        version = expected.version();
        models.put(version, weights);
        computed = answer.request().staleKv() == StaleKv.DROP ? 0 : computed;
      }
      int generated = i;
      if (answer.broken().stream().anyMatch(kv -> kv.generated() == generated)) {
        computed = 0;
      }
      StepBatch batch = new StepBatch();
      batch.beginSequence(table);
      int length = prompt.length + i;
      int row = -1;
      for (; computed < length; computed++) {
        row = batch.addToken(context[computed], computed);
      }
      SamplingPlan plan = new SamplingPlan();
      plan.add(
          SamplingRow.sample(row)
              .temperature(1)
              .seed(answer.request().params().draw().seed())
              .choice(answer.choice())
              .position(length)
              .build());
      TokenResult result = alone.step(batch, plan).getFirst();
      Said actual =
          new Said(result.tokenId(), Float.floatToIntBits(result.logprob()), expected.version());
      assertEquals(
          actual,
          expected,
          "%s, choice %d, %s: token %d"
              .formatted(
                  answer.request().id(), answer.choice(), answer.request().staleKv(), generated));
      context[length] = result.tokenId();
    }
  }

  private WeightStore load(String name, long seed) throws Exception {
    return load(TinyCheckpoint.qwen3().seed(seed).write(directory.resolve(name)));
  }

  private WeightStore w4(String name, long seed) throws Exception {
    return load(TinyCheckpoint.qwen3().w4().seed(seed).write(directory.resolve(name)));
  }

  private static WeightStore load(Path path) throws Exception {
    try (Checkpoint checkpoint = Checkpoint.open(path)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  private static CpuBackend backend(WeightStore weights, KvType type, int blocks) {
    Ops ops = Processor.isSupported() ? JitOps.open(2) : new VectorOps(2);
    return new CpuBackend(weights, ops, KvLayout.of(weights.config(), type), blocks);
  }
}
