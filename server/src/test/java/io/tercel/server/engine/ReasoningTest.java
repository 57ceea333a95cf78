package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Thinking budget and loop breaker over the whole engine, before models that never stop. */
@Timeout(60)
class ReasoningTest {
  private static final int OPEN = 90;
  private static final int CLOSE = 91;
  private static final int BLANK = 92;
  private static final int EOS = 96;

  private final FakeBackend backend = new FakeBackend(400, 4, 97);
  private final Engine engine =
      new Engine(
          backend,
          EngineConfig.builder(1500, 97)
              .maxNumSeqs(4)
              .maxNumBatchedTokens(64)
              .maxWaiting(100)
              .eosTokenIds(Set.of(EOS))
              .build());

  @AfterEach
  void close() {
    engine.close();
  }

  private record Outcome(List<EngineEvent.Token> tokens, FinishReason reason) {
    List<Integer> ids() {
      return tokens.stream().map(t -> t.result().tokenId()).toList();
    }

    List<Integer> forced() {
      return tokens.stream()
          .filter(EngineEvent.Token::forced)
          .map(t -> t.result().tokenId())
          .toList();
    }
  }

  private static Thinking thinking(boolean startsOpen, int budget) {
    return new Thinking(startsOpen, OPEN, CLOSE, budget, List.of(CLOSE, BLANK));
  }

  private Outcome run(int maxTokens, int minTokens, @Nullable Thinking thinking, boolean loops)
      throws InterruptedException {
    SamplingParams params =
        SamplingParams.builder()
            .maxTokens(maxTokens)
            .minTokens(minTokens)
            .build()
            .watching(thinking, loops);
    Generation generation =
        engine.submit(new GenerationRequest("r", new int[] {1, 2, 3, 4, 5}, params));
    List<EngineEvent.Token> tokens = new ArrayList<>();
    while (true) {
      switch (generation.take()) {
        case EngineEvent.Token token -> tokens.add(token);
        case EngineEvent.Finished finished -> {
          return new Outcome(tokens, finished.reason());
        }
        case EngineEvent _ -> {}
      }
    }
  }

  private static int indexOf(int[] keys, int length, int token) {
    for (int i = 0; i < length; i++) {
      if (keys[i] == token) {
        return i;
      }
    }
    return -1;
  }

  /** Thinks without end or repetition; three tokens after the thought it is done. */
  private static int ponder(int[] keys, int length) {
    int closed = indexOf(keys, length, CLOSE);
    if (closed < 0) {
      return length % 89 * (length / 89 + 1) % 89;
    }
    return length - closed > 4 ? EOS : 42;
  }

  @Test
  void budget_closesTheThoughtAndAnAnswerFollows() throws Exception {
    backend.model(ReasoningTest::ponder);
    Outcome outcome = run(100, 0, thinking(true, 10), false);
    assertEquals(List.of(CLOSE, BLANK), outcome.forced());
    assertEquals(List.of(CLOSE, BLANK, 42, 42, 42, EOS), outcome.ids().subList(10, 16));
    assertEquals(FinishReason.STOP, outcome.reason());
    // the model would not have said it, and its score tells so
    assertEquals(-5f, outcome.tokens().get(10).result().logprob());
    assertEquals(2, outcome.tokens().get(10).result().rank());
  }

  @Test
  void budgetOfNothing_closesAtOnce() throws Exception {
    backend.model(ReasoningTest::ponder);
    Outcome outcome = run(100, 0, thinking(true, 0), false);
    assertEquals(List.of(CLOSE, BLANK, 42, 42, 42, EOS), outcome.ids());
  }

  @Test
  void thoughtThatTheModelOpens_isCountedFromThere() throws Exception {
    backend.model((keys, length) -> length == 7 ? OPEN : ponder(keys, length));
    Outcome outcome = run(100, 0, thinking(false, 5), false);
    assertEquals(OPEN, outcome.ids().get(2));
    assertEquals(List.of(CLOSE, BLANK), outcome.ids().subList(8, 10));
  }

  @Test
  void thoughtThatEndsByItself_isLeftAlone() throws Exception {
    backend.model((keys, length) -> length == 12 ? CLOSE : ponder(keys, length));
    Outcome outcome = run(100, 0, thinking(true, 50), true);
    assertEquals(List.of(), outcome.forced());
    assertEquals(FinishReason.STOP, outcome.reason());
  }

  @Test
  void noBudget_thinksToTheLimit() throws Exception {
    backend.model(ReasoningTest::ponder);
    Outcome outcome = run(300, 0, thinking(true, -1), false);
    assertEquals(List.of(), outcome.forced());
    assertEquals(FinishReason.LENGTH, outcome.reason());
  }

  @Test
  void budgetAtTheLimit_neverSaysMoreThanTheLimit() throws Exception {
    backend.model(ReasoningTest::ponder);
    Outcome outcome = run(11, 0, thinking(true, 10), false);
    assertEquals(List.of(CLOSE), outcome.forced());
    assertEquals(11, outcome.ids().size());
    assertEquals(FinishReason.LENGTH, outcome.reason());
  }

  @Test
  void loop_closesTheThoughtOnceThenEndsTheAnswer() throws Exception {
    backend.model((keys, length) -> length % 2 == 0 ? 7 : 8);
    Outcome outcome = run(1400, 0, thinking(true, -1), true);
    assertEquals(List.of(CLOSE, BLANK), outcome.forced());
    assertEquals(130, outcome.ids().indexOf(CLOSE));
    assertEquals(FinishReason.REPETITION, outcome.reason());
    assertEquals(130 + 2 + 514, outcome.ids().size());
    while (engine.stats().running() > 0) {
      Thread.sleep(1);
    }
    assertEquals(1, engine.stats().finished(FinishReason.REPETITION));
  }

  @Test
  void loop_inThoughtStillGivesAnAnswer() throws Exception {
    backend.model((keys, length) -> indexOf(keys, length, CLOSE) < 0 ? 7 : ponder(keys, length));
    Outcome outcome = run(1400, 0, thinking(true, -1), true);
    assertEquals(129, outcome.ids().indexOf(CLOSE));
    assertEquals(FinishReason.STOP, outcome.reason());
  }

  @Test
  void loop_isAllowedWhereAskedFor() throws Exception {
    backend.model((keys, length) -> 7);
    assertEquals(FinishReason.LENGTH, run(1400, 0, thinking(true, -1), false).reason());
    Outcome early = run(1400, 900, null, true);
    assertEquals(900, early.ids().size());
    assertEquals(FinishReason.REPETITION, early.reason());
  }

  @Test
  void loop_nothingIsForcedWhereNothingThinks() throws Exception {
    backend.model((keys, length) -> 7);
    Outcome outcome = run(1400, 0, null, true);
    assertTrue(outcome.forced().isEmpty());
    assertEquals(513, outcome.ids().size());
    assertFalse(outcome.reason() == FinishReason.LENGTH);
  }
}
