package io.tercel.trainer.testing;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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

  /** The same in a JVM of its own, which can be killed. */
  public static Process start(Path output, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx512m", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("--add-modules=jdk.incubator.vector", "-Dai.djl.offline=true"));
    // as this JVM has it, for the last bits depend on it
    String threads = System.getProperty("ai.djl.pytorch.num_threads", "1");
    command.addAll(List.of("-Dai.djl.pytorch.num_threads=" + threads, "-cp"));
    String classPath = System.getProperty("java.class.path");
    command.add(System.getProperty("surefire.test.class.path", classPath));
    command.add("io.tercel.server.cli.Tercel");
    command.addAll(arguments);
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(output.toFile())
        .start();
  }
}
