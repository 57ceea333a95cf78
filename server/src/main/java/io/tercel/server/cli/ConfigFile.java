package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.access.KeyFile;
import io.tercel.server.yaml.Nearest;
import io.tercel.server.yaml.YamlException;
import io.tercel.server.yaml.YamlFile;
import io.tercel.server.yaml.YamlValue;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A file of options, YAML or JSON: their names without dashes in front, and a value or a list of
 * values each.
 */
final class ConfigFile {
  private final String name;
  private final CommandSpec command;
  private final Map<String, YamlValue> settings;

  private ConfigFile(String name, CommandSpec command, Map<String, YamlValue> settings) {
    this.name = name;
    this.command = command;
    this.settings = settings;
  }

  /**
   * A setting.
   *
   * @param text as the command line would have it
   * @param where file and line
   */
  record Value(String text, String where) {}

  /**
   * The file that a command line or the environment names; null where neither does, or the command
   * takes none.
   *
   * @throws UserException that names file, line and setting
   */
  static @Nullable ConfigFile named(
      String[] args, Map<String, String> environment, CommandSpec command) {
    OptionSpec option = option(command);
    if (option == null) {
      return null;
    }
    String flag = option.longestName();
    String variable = OptionDefaults.variable(option);
    String path = variable == null ? null : environment.get(variable);
    for (int i = 1; i < args.length; i++) {
      if (args[i].equals(flag) && i + 1 < args.length) {
        path = args[i + 1];
      } else if (args[i].startsWith(flag + "=")) {
        path = args[i].substring(flag.length() + 1);
      }
    }
    return path == null || path.isEmpty() ? null : read(Path.of(path), flag, command);
  }

  private static @Nullable OptionSpec option(CommandSpec command) {
    String flag = command.userObject() instanceof Command described ? described.fileOption() : null;
    return flag == null ? null : command.findOption(flag);
  }

  /**
   * Reads a file.
   *
   * @param flag the option that named it
   * @param command whose options they are
   * @throws UserException that names file, line and setting
   */
  static ConfigFile read(Path path, String flag, CommandSpec command) {
    String name = String.valueOf(path.getFileName());
    try {
      ConfigFile file =
          new ConfigFile(name, command, YamlFile.read(name, Files.readAllBytes(path)).fields());
      file.check(flag);
      if (file.settings.containsKey("api-key") || file.settings.containsKey("admin-key")) {
        KeyFile.warnOfReaders(path);
      }
      return file;
    } catch (NoSuchFileException e) {
      throw new UserException(flag + ": " + path + " is not there", e);
    } catch (IOException e) {
      throw new UserException(flag + ": " + path + " can't be read: " + e.getMessage(), e);
    } catch (YamlException e) {
      throw new UserException(flag + ": " + e.getMessage(), e);
    }
  }

  private void check(String flag) {
    Map<String, OptionSpec> known = new TreeMap<>();
    for (OptionSpec option : command.options()) {
      if (OptionDefaults.variable(option) != null && !OptionDefaults.names(option).contains(flag)) {
        OptionDefaults.names(option).forEach(each -> known.put(key(each), option));
      }
    }
    Map<OptionSpec, String> given = new HashMap<>();
    settings.forEach(
        (key, value) -> {
          OptionSpec option = known.get(key);
          if (option == null) {
            throw value.wrong(
                "is no option of %s; did you mean '%s'?"
                    .formatted(command.name(), Nearest.to(key, known.keySet())));
          }
          String before = given.put(option, key);
          if (before != null) {
            throw value.wrong("is there as '%s' too; leave one of them out".formatted(before));
          }
          text(option, value);
        });
  }

  private static String key(String option) {
    return option.replaceFirst("^--", "");
  }

  /** What it says of an option, under any of its long names; null for nothing. */
  @Nullable Value value(OptionSpec option) {
    if (option.command() != command) {
      return null;
    }
    for (String each : OptionDefaults.names(option)) {
      YamlValue value = settings.get(key(each));
      if (value != null) {
        return new Value(text(option, value), "%s, line %d".formatted(name, value.line()));
      }
    }
    return null;
  }

  private static String text(OptionSpec option, YamlValue value) {
    if (!value.isList()) {
      return value.text();
    }
    if (!option.isMultiValue()) {
      throw value.wrong("takes one value, not a list");
    }
    List<String> items = new ArrayList<>();
    for (YamlValue item : value.list()) {
      String text = item.text();
      if (text.contains(option.splitRegex())) {
        throw item.wrong("must not have '" + option.splitRegex() + "' in it");
      }
      items.add(text);
    }
    if (items.isEmpty()) {
      throw value.wrong("must have one value at least; leave it out for none");
    }
    return String.join(option.splitRegex(), items);
  }
}
