package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class TercelTest {
  @CommandLine.Command(name = "serve")
  private static final class Below implements Command {
    private final String parent;
    private boolean called;

    Below(String parent) {
      this.parent = parent;
    }

    @Override
    public String parent() {
      return parent;
    }

    @Override
    public Integer call() {
      called = true;
      return 7;
    }
  }

  /** Another module's, which comes before its parent. */
  @Test
  void command_goesBelowItsParent() {
    Below below = new Below("bench");
    CommandLine line = Tercel.commandLine(List.of(below, new BenchCommand()));
    assertFalse(line.getSubcommands().containsKey("serve"));
    assertEquals(7, line.execute("bench", "serve"));
    assertTrue(below.called);
  }

  /** The parent's own tests stay what they are. */
  @Test
  void parent_isStillACommand() {
    CommandLine line = Tercel.commandLine(List.of(new BenchCommand(), new Below("bench")));
    CommandLine.ParseResult parsed = line.parseArgs("bench", "prefill", "--prompt", "64");
    CommandLine.ParseResult bench = parsed.subcommand();
    assertFalse(bench.hasSubcommand());
    assertEquals("prefill", bench.matchedPositionalValue(0, ""));
  }

  @Test
  void parentThatIsNotThere_isADefect() {
    assertThrows(
        IllegalStateException.class, () -> Tercel.commandLine(List.of(new Below("bench"))));
  }
}
