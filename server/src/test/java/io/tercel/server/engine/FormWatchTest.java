package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.grammar.Form;
import io.tercel.server.grammar.TokenAutomaton;
import io.tercel.server.grammar.TokenTrie;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Choices of a form through the whole engine: ids 0 to 127 are ASCII, 128 ends. */
@Timeout(60)
class FormWatchTest {
  private static final int END = 128;
  private static final int VOCAB = 131;
  private static final String REGEX = "[ -Za-z]{20,40}(-[0-9]{5}){2,6}!";
  private static final byte[][] TEXTS = texts();

  private static byte[][] texts() {
    byte[][] texts = new byte[VOCAB][];
    Arrays.setAll(texts, id -> id < END ? new byte[] {(byte) id} : new byte[0]);
    return texts;
  }

  private static TokenAutomaton automaton(String regex) {
    return new TokenAutomaton(
        new Form.Pattern(regex, "r").compile(),
        new TokenTrie(VOCAB, id -> TEXTS[id]),
        TEXTS,
        Set.of(END),
        "r");
  }

  private static SamplingParams params(int n, int maxTokens, TokenAutomaton automaton) {
    return SamplingParams.builder()
        .n(n)
        .maxTokens(maxTokens)
        .build()
        .withForm(new AnswerForm(automaton, false));
  }

  private static Engine engine(FakeBackend backend) {
    return new Engine(
        backend,
        EngineConfig.builder(400, VOCAB)
            .maxNumSeqs(16)
            .maxNumBatchedTokens(64)
            .maxWaiting(1000)
            .eosTokenIds(Set.of(END))
            .build());
  }

  private record Outcome(List<String> texts, List<FinishReason> reasons) {}

  private static Outcome read(Generation generation, int n) throws InterruptedException {
    List<ByteArrayOutputStream> texts = new ArrayList<>();
    FinishReason[] reasons = new FinishReason[n];
    for (int i = 0; i < n; i++) {
      texts.add(new ByteArrayOutputStream());
    }
    for (int open = n; open > 0; ) {
      switch (generation.take()) {
        case EngineEvent.Token t -> texts.get(t.choice()).writeBytes(TEXTS[t.result().tokenId()]);
        case EngineEvent.Finished f -> {
          reasons[f.choice()] = f.reason();
          open--;
        }
        case EngineEvent.Failed f -> throw new AssertionError(f.message());
        case EngineEvent _ -> {}
      }
    }
    return new Outcome(
        texts.stream().map(ByteArrayOutputStream::toString).toList(), List.of(reasons));
  }

  private static int[] prompt(int length, long seed) {
    return new Random(seed).ints(length, 0, 128).toArray();
  }

  @Test
  void text_isTheSameAloneInABatchAndSetBack() throws Exception {
    List<String> alone = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      try (Engine engine = engine(new FakeBackend(200, 4, VOCAB))) {
        Generation generation =
            engine.submit(
                new GenerationRequest("a", prompt(10 + i, i), params(1, 100, automaton(REGEX))));
        Outcome outcome = read(generation, 1);
        assertEquals(List.of(FinishReason.STOP), outcome.reasons());
        assertTrue(outcome.texts().getFirst().matches(REGEX), outcome.texts().getFirst());
        alone.addAll(outcome.texts());
      }
    }
    assertEquals(12, Set.copyOf(alone).size());
    TokenAutomaton shared = automaton(REGEX);
    try (Engine engine = engine(new FakeBackend(100, 4, VOCAB))) {
      engine.pause().get(); // so that all meet, however slowly they come
      List<Generation> generations = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        generations.add(
            engine.submit(new GenerationRequest("b", prompt(10 + i, i), params(1, 100, shared))));
      }
      engine.resume();
      for (int i = 0; i < 12; i++) {
        assertEquals(alone.get(i), read(generations.get(i), 1).texts().getFirst());
      }
      assertTrue(engine.stats().work().preemptions() > 0, "preemptions");
      assertTrue(engine.stats().prefix().recovered() > 0, "blocks found again");
    }
  }

  @Test
  void choices_haveStatesOfTheirOwn() throws Exception {
    FakeBackend backend = new FakeBackend(200, 4, VOCAB);
    try (Engine engine = engine(backend)) {
      Generation generation =
          engine.submit(new GenerationRequest("n", prompt(9, 1), params(3, 90, automaton(REGEX))));
      Outcome outcome = read(generation, 3);
      for (String text : outcome.texts()) { // greedy, so all the same
        assertTrue(text.matches(REGEX), text);
        assertEquals(outcome.texts().getFirst(), text);
      }
    }
  }

  @Test
  void loop_doesNotBreakAForm() throws Exception {
    FakeBackend backend = new FakeBackend(200, 4, VOCAB);
    backend.model((_, _) -> 'a');
    try (Engine engine = engine(backend)) {
      SamplingParams watched = params(1, 350, automaton("(a|b){300}!")).watching(null, true);
      Outcome outcome = read(engine.submit(new GenerationRequest("l", prompt(9, 1), watched)), 1);
      assertEquals("a".repeat(300) + "!", outcome.texts().getFirst());
      assertEquals(List.of(FinishReason.STOP), outcome.reasons());
    }
  }

  @Test
  void backendThatDisobeys_failsThatRequestAlone() throws Exception {
    FakeBackend backend =
        new FakeBackend(200, 4, VOCAB) {
          @Override
          protected boolean obeys() {
            return false;
          }
        };
    backend.model((_, _) -> 'z');
    try (Engine engine = engine(backend)) {
      Generation free =
          engine.submit(new GenerationRequest("f", prompt(9, 2), SamplingParams.greedy(50)));
      Generation bound =
          engine.submit(new GenerationRequest("b", prompt(9, 1), params(2, 50, automaton("a+"))));
      EngineEvent event = bound.take();
      while (!(event instanceof EngineEvent.Failed)) {
        event = bound.take();
      }
      assertEquals("z".repeat(50), read(free, 1).texts().getFirst());
      while (engine.stats().running() > 0) {
        Thread.sleep(1);
      }
      assertEquals(engine.stats().blocks().total(), engine.stats().blocks().free());
    }
  }
}
