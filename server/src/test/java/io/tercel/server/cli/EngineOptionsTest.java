package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import io.tercel.server.engine.ClassQuota;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.speculation.Speculation;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.testing.ScriptedBackend;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;

class EngineOptionsTest {
  @CommandLine.Command
  private static final class Any {
    @Mixin private final ModelOptions options = new ModelOptions();
  }

  private static EngineOptions parse(String... args) {
    Any any = new Any();
    new CommandLine(any).parseArgs(args);
    any.options.serving();
    return any.options.engine;
  }

  @Test
  void defaults_areOnAndUnlimited() {
    EngineOptions options = parse();
    assertTrue(options.loopBreaker && options.prefixCaching);
    assertEquals(-1, options.reasoningBudget);
    assertEquals(60, options.stallTimeout);
  }

  @Test
  void flags_goBothWays() {
    EngineOptions off = parse("--no-loop-breaker", "--no-prefix-caching");
    assertFalse(off.loopBreaker || off.prefixCaching);
    EngineOptions on = parse("--loop-breaker", "--prefix-caching", "--reasoning-budget", "512");
    assertTrue(on.loopBreaker && on.prefixCaching);
    assertEquals(512, on.reasoningBudget);
  }

  @Test
  void speculation_isOffUnlessAskedFor() {
    assertFalse(serving().speculation().isOn());
    assertEquals(
        new Speculation(Speculation.Method.NGRAM, 7, false),
        serving("--speculative", "ngram").speculation());
    assertEquals(
        new Speculation(Speculation.Method.SUFFIX, 3, false),
        serving("--speculative", "suffix", "--speculative-tokens", "3").speculation());
  }

  @Test
  void speculation_wrongValuesNameTheOption() {
    assertEquals(
        "--speculative: there is no 'medusa'; choose off, ngram or suffix",
        assertThrows(UserException.class, () -> serving("--speculative", "medusa")).getMessage());
    for (String n : new String[] {"0", "16"}) {
      UserException refused =
          assertThrows(UserException.class, () -> serving("--speculative-tokens", n));
      String message = String.valueOf(refused.getMessage());
      assertTrue(message.startsWith("--speculative-tokens: " + n + " is too "), message);
    }
  }

  private static ServingOptions serving(String... args) {
    Any any = new Any();
    new CommandLine(any).parseArgs(args);
    return any.options.serving();
  }

  @Test
  void classes_haveQuotasOfTheirOwn() {
    ServingOptions options =
        serving(
            "--max-waiting=50",
            "--class-max-waiting=rollout=4096",
            "--class-places=chat=2,batch=7",
            "--class-tokens",
            "rollout=5");
    assertEquals(new ClassQuota(50, 2, 6), options.quota(ServiceClass.CHAT));
    assertEquals(new ClassQuota(4096, 3, 5), options.quota(ServiceClass.ROLLOUT));
    assertEquals(new ClassQuota(50, 7, 1), options.quota(ServiceClass.BATCH));
    UserException unknown =
        assertThrows(UserException.class, () -> serving("--class-places=gold=1"));
    assertTrue(unknown.toString().contains("no class 'gold'"), unknown.toString());
    UserException none = assertThrows(UserException.class, () -> serving("--class-tokens=chat=0"));
    assertTrue(none.toString().contains("--class-tokens"), none.toString());
  }

  /** An error of the engine ends the process with a code of its own, and SIGTERM with 0. */
  @Test
  void serve_endsWithACodeWhenTheEngineFails() throws Exception {
    ScriptedBackend backend = new ScriptedBackend(64, _ -> new int[] {'x'});
    EngineConfig config = EngineConfig.builder(200, 512).build();
    try (Engine engine = new Engine(backend, config)) {
      assertEquals(0, ServeCommand.awaitEnd(engine, new CountDownLatch(0)));
      backend.error = new OutOfMemoryError("no more");
      engine.submit(new GenerationRequest("e", new int[] {1}, SamplingParams.greedy(5)));
      assertEquals(
          ServeCommand.ENGINE_FAILED, ServeCommand.awaitEnd(engine, new CountDownLatch(1)));
    }
  }

  @Test
  void nonsense_namesTheOption() {
    UserException stall = assertThrows(UserException.class, () -> parse("--stall-timeout", "0"));
    assertTrue(stall.toString().contains("--stall-timeout"));
    UserException budget =
        assertThrows(UserException.class, () -> parse("--reasoning-budget", "-2"));
    assertTrue(budget.toString().contains("--reasoning-budget"));
  }
}
