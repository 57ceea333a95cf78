package io.tercel.server.cli;

import io.tercel.server.UserException;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/**
 * A subcommand of {@code tercel}: a class with picocli's annotations and a public constructor
 * without arguments, found by {@link java.util.ServiceLoader}. Other modules add theirs that way.
 * Constructing one loads no native code.
 *
 * <p>{@code call} returns the exit status. A {@link UserException} ends with its one line and
 * status 1; anything else is a defect and shows its stack.
 */
public interface Command extends Callable<Integer> {

  /**
   * The command that this one is a subcommand of, such as {@code bench} for {@code tercel bench
   * serve}; null for {@code tercel} itself.
   */
  default @Nullable String parent() {
    return null;
  }

  /**
   * The option that names a file of this command's options, such as {@code --config}: what the file
   * says holds where neither the command line nor the environment says something else. Null for a
   * command without.
   */
  default @Nullable String fileOption() {
    return null;
  }

  /**
   * A fresh one of {@code tercel}'s own of that name, of whatever module; empty if there is none.
   */
  static Optional<Command> named(String name) {
    return ServiceLoader.load(Command.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(command -> command.parent() == null)
        .filter(
            command ->
                command.getClass().getAnnotation(CommandLine.Command.class).name().equals(name))
        .findFirst();
  }
}
