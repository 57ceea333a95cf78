package io.tercel.server.cli;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * Where options come from that the command line doesn't give: the environment, then a file. An
 * option's variable is its name in capitals behind {@code TERCEL_}, and behind the command's where
 * that isn't {@code serve}: {@code TERCEL_MAX_MODEL_LEN}, {@code TERCEL_EVAL_SUITE}. What a
 * server's surroundings say so means nothing to other commands that run in them.
 */
final class OptionDefaults implements IDefaultValueProvider {
  private final Map<String, String> environment;
  private final @Nullable ConfigFile file;
  private final Map<OptionSpec, Given> given = new HashMap<>();

  private record Given(String value, String where) {}

  /**
   * Of this environment.
   *
   * @param file of the command's options; null for none
   */
  OptionDefaults(Map<String, String> environment, @Nullable ConfigFile file) {
    this.environment = environment;
    this.file = file;
  }

  /** The variable that an option comes from; null for one that is no setting. */
  static @Nullable String variable(ArgSpec arg) {
    if (!(arg instanceof OptionSpec option) || option.usageHelp() || option.versionHelp()) {
      return null;
    }
    CommandSpec command = option.command();
    String path = command.qualifiedName("_").replaceFirst("^tercel_?", "");
    String below = path.equals("serve") || path.isEmpty() ? "" : path + "_";
    return ("tercel_" + below + name(option)).toUpperCase(Locale.ROOT).replace('-', '_');
  }

  /** An option's names that have two dashes, dashes included. */
  static List<String> names(OptionSpec option) {
    return Arrays.stream(option.names()).filter(name -> name.startsWith("--")).toList();
  }

  /** An option's name without its dashes. */
  static String name(OptionSpec option) {
    return option.longestName().replaceFirst("^-+", "");
  }

  @Override
  public @Nullable String defaultValue(ArgSpec arg) {
    String variable = variable(arg);
    if (variable == null) {
      return null;
    }
    OptionSpec option = (OptionSpec) arg;
    String value = environment.get(variable);
    if (value != null && !value.isEmpty()) { // an empty variable is none
      given.put(option, new Given(value, variable));
      return value;
    }
    ConfigFile.Value setting = file == null ? null : file.value(option);
    if (setting == null) {
      return null;
    }
    given.put(option, new Given(setting.text(), setting.where()));
    return setting.text();
  }

  /** The same, naming the variable or the line of the file that has the value. */
  ParameterException explained(ParameterException e) {
    String value = e.getValue();
    Given from = e.getArgSpec() instanceof OptionSpec option ? given.get(option) : null;
    if (from == null || value == null || !from.value.contains(value)) {
      return e;
    }
    return new ParameterException(
        e.getCommandLine(), e.getMessage() + " (" + from.where + ")", e, e.getArgSpec(), value);
  }
}
