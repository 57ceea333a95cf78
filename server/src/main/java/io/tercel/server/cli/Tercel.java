package io.tercel.server.cli;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.UserException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
  public static int run(String... args) {
    return run(System.getenv(), args);
  }

  static int run(Map<String, String> environment, String... args) {
    CommandLine commandLine = commandLine(ServiceLoader.load(Command.class));
    extendServe(commandLine);
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
    try {
      takeDefaults(commandLine, environment, args);
    } catch (UserException e) {
      commandLine.getErr().println(args[0] + ": " + e.getMessage());
      return 1;
    }
    return commandLine.execute(args);
  }

  /** Has options come from the environment and a file where the command line doesn't give them. */
  static void takeDefaults(CommandLine root, Map<String, String> environment, String... args) {
    ConfigFile file = ConfigFile.named(args, environment, meant(root, args).getCommandSpec());
    OptionDefaults defaults = new OptionDefaults(environment, file);
    root.setDefaultValueProvider(defaults);
    CommandLine.IParameterExceptionHandler usual = root.getParameterExceptionHandler();
    root.setParameterExceptionHandler(
        (e, all) -> usual.handleParseException(defaults.explained(e), all));
  }

  /** The command that a command line is for. */
  private static CommandLine meant(CommandLine root, String... args) {
    CommandLine command = root;
    for (String arg : args) {
      CommandLine below = command.getSubcommands().get(arg);
      if (below == null) {
        break;
      }
      command = below;
    }
    return command;
  }

  /** Each command below its parent, in whatever order they come. */
  static CommandLine commandLine(Iterable<Command> commands) {
    CommandLine root = new CommandLine(new Tercel());
    List<Command> nested = new ArrayList<>();
    for (Command command : commands) {
      if (command.parent() == null) {
        root.addSubcommand(command);
      } else {
        nested.add(command);
      }
    }
    for (Command command : nested) {
      CommandLine parent = root.getSubcommands().get(command.parent());
      if (parent == null) {
        throw new IllegalStateException(
            command.getClass().getName() + ": no command '" + command.parent() + "' to go below");
      }
      parent.addSubcommand(command);
    }
    return root;
  }

  /** Has serve take the options of those that extend it. */
  private static void extendServe(CommandLine root) {
    CommandLine serve = Objects.requireNonNull(root.getSubcommands().get("serve"));
    for (ServeExtension extension : ServiceLoader.load(ServeExtension.class)) {
      serve.addMixin(extension.getClass().getSimpleName(), extension);
    }
  }
}
