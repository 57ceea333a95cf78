package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class CompletionCommandTest {
  @TempDir Path folder;

  private static String script(String shell) {
    CommandLine line = Tercel.commandLine(ServiceLoader.load(Command.class));
    StringWriter out = new StringWriter();
    line.setOut(new PrintWriter(out));
    assertEquals(0, line.execute("completion", shell));
    return out.toString();
  }

  /** What bash itself makes of the script. */
  private List<String> completed(String... words) throws Exception {
    Files.writeString(folder.resolve("tercel.bash"), script("bash"));
    String ask =
        "source tercel.bash; COMP_WORDS=(%s); COMP_CWORD=%d; COMP_LINE='%s'; COMP_POINT=%d;"
                .formatted(
                    String.join(" ", words),
                    words.length - 1,
                    String.join(" ", words),
                    String.join(" ", words).length())
            + " _complete_tercel; printf '%s\\n' \"${COMPREPLY[@]}\"";
    Process bash =
        new ProcessBuilder("bash", "-c", ask)
            .directory(folder.toFile())
            // bash says there that it is not completing, which is so
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String answer = new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(bash.waitFor(10, TimeUnit.SECONDS));
    return answer.lines().map(String::strip).toList();
  }

  @Test
  void bash_completesCommandsAndOptions() throws Exception {
    assertEquals(List.of("serve"), completed("tercel", "ser"));
    assertEquals(List.of("--max-model-len"), completed("tercel", "serve", "--max-mo"));
    assertEquals(
        List.of("--api-key", "--api-keys"),
        completed("tercel", "serve", "--api").stream().sorted().toList());
  }

  @Test
  void zsh_readsTheSame() {
    String zsh = script("zsh");
    assertTrue(zsh.startsWith("autoload -Uz compinit bashcompinit"), zsh.substring(0, 100));
    assertTrue(zsh.endsWith(script("bash")));
  }

  @Test
  void shell_isOneOfThose() {
    CommandLine line = Tercel.commandLine(ServiceLoader.load(Command.class));
    StringWriter err = new StringWriter();
    line.setErr(new PrintWriter(err));
    assertEquals(2, line.execute("completion", "fish"));
    assertTrue(err.toString().contains("bash, zsh"), err.toString());
  }
}
