package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
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
  void nonsense_namesTheOption() {
    UserException stall = assertThrows(UserException.class, () -> parse("--stall-timeout", "0"));
    assertTrue(stall.toString().contains("--stall-timeout"));
    UserException budget =
        assertThrows(UserException.class, () -> parse("--reasoning-budget", "-2"));
    assertTrue(budget.toString().contains("--reasoning-budget"));
  }
}
