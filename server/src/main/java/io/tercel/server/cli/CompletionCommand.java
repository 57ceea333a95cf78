package io.tercel.server.cli;

import org.jspecify.annotations.Nullable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tercel completion}: what a shell needs to complete commands and options. */
@CommandLine.Command(
    name = "completion",
    description =
        "Prints a script that completes commands and options: source <(tercel completion bash), or"
            + " the same with zsh.",
    mixinStandardHelpOptions = true)
public final class CompletionCommand implements Command {
  /** Shells that read the script. */
  enum Shell {
    bash,
    zsh
  }

  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "SHELL", description = "${COMPLETION-CANDIDATES}")
  private Shell shell = Shell.bash;

  @Override
  public Integer call() {
    if (spec == null) {
      throw new IllegalStateException("it is a command of the command line");
    }
    CommandLine line = spec.commandLine();
    if (shell == Shell.zsh) { // which reads bash's once it has been told to
      line.getOut().println("autoload -Uz compinit bashcompinit && compinit && bashcompinit");
    }
    line.getOut().print(AutoComplete.bash("tercel", spec.root().commandLine()));
    line.getOut().flush();
    return 0;
  }
}
