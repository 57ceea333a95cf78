package io.tercel.server.cli;

import io.tercel.kernels.format.CheckpointException;
import java.util.ServiceLoader;
import picocli.CommandLine;

/** The command line's entry: {@code tercel <subcommand>}. */
@CommandLine.Command(
    name = "tercel",
    description = "Serves, quantizes and trains 3-bit reasoning models.",
    mixinStandardHelpOptions = true,
    version = "tercel 0.1.0",
    synopsisSubcommandLabel = "COMMAND")
public final class Tercel {
  private Tercel() {}

  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs one command and returns its exit status. */
  static int run(String... args) {
    CommandLine commandLine = new CommandLine(new Tercel());
    for (Command command : ServiceLoader.load(Command.class)) {
      commandLine.addSubcommand(command);
    }
    commandLine.setExecutionExceptionHandler(
        (e, command, parsed) -> {
          if (e instanceof UserException || e instanceof CheckpointException) {
            command.getErr().println(command.getCommandName() + ": " + e.getMessage());
            return 1;
          }
          throw e;
        });
    if (args.length == 0) {
      commandLine.usage(System.out);
      return 2;
    }
    return commandLine.execute(args);
  }
}
