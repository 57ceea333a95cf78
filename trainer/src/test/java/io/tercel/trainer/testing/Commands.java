package io.tercel.trainer.testing;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.ServiceLoader;
import picocli.CommandLine;

/** The tercel commands of the trainer, in this JVM. */
public final class Commands {
  private Commands() {}

  /** What a command says in error, if it fails; else nothing. */
  public static String run(String... arguments) {
    StringWriter error = new StringWriter();
    PrintWriter writer = new PrintWriter(error, true);
    CommandLine line = new CommandLine(command(arguments[0]));
    line.setErr(writer).setOut(new PrintWriter(new StringWriter()));
    line.setExecutionExceptionHandler(
        (e, _, _) -> {
          if (e instanceof UserException || e instanceof CheckpointException) {
            writer.println(e.getMessage());
            return 1;
          }
          throw e;
        });
    int code = line.execute(Arrays.copyOfRange(arguments, 1, arguments.length));
    return code == 0 ? "" : "exit " + code + ": " + error;
  }

  private static Command command(String name) {
    for (Command command : ServiceLoader.load(Command.class)) {
      CommandLine.Command is = command.getClass().getAnnotation(CommandLine.Command.class);
      if (is != null && is.name().equals(name)) {
        return command;
      }
    }
    throw new IllegalArgumentException("no command " + name);
  }
}
