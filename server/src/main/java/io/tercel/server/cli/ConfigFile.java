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
  /** Names the file on the command line. */
  static final String OPTION = "--config";

  /** Names it in the environment. */
  private static final String VARIABLE = "TERCEL_CONFIG";

  private final String name;
  private final Map<String, YamlValue> settings;

  private ConfigFile(String name, Map<String, YamlValue> settings) {
    this.name = name;
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
   * The file that a command line or the environment names; null where neither does.
   *
   * @throws UserException that names file, line and setting
   */
  static @Nullable ConfigFile named(
      String[] args, Map<String, String> environment, CommandSpec command) {
    String path = environment.get(VARIABLE);
    for (int i = 1; i < args.length; i++) {
      if (args[i].equals(OPTION) && i + 1 < args.length) {
        path = args[i + 1];
      } else if (args[i].startsWith(OPTION + "=")) {
        path = args[i].substring(OPTION.length() + 1);
      }
    }
    return path == null || path.isEmpty() ? null : read(Path.of(path), command);
  }

  /**
   * Reads a file.
   *
   * @param command whose options they are
   * @throws UserException that names file, line and setting
   */
  static ConfigFile read(Path path, CommandSpec command) {
    String name = String.valueOf(path.getFileName());
    try {
      ConfigFile file =
          new ConfigFile(name, YamlFile.read(name, Files.readAllBytes(path)).fields());
      file.check(command);
      if (file.settings.containsKey("api-key") || file.settings.containsKey("admin-key")) {
        KeyFile.warnOfReaders(path);
      }
      return file;
    } catch (NoSuchFileException e) {
      throw new UserException("--config: " + path + " is not there", e);
    } catch (IOException e) {
      throw new UserException("--config: " + path + " can't be read: " + e.getMessage(), e);
    } catch (YamlException e) {
      throw new UserException("--config: " + e.getMessage(), e);
    }
  }

  private void check(CommandSpec command) {
    Map<String, OptionSpec> known = new TreeMap<>();
    for (OptionSpec option : command.options()) {
      if (OptionDefaults.variable(option) != null) {
        known.put(OptionDefaults.name(option), option);
      }
    }
    known.remove("config");
    settings.forEach(
        (key, value) -> {
          OptionSpec option = known.get(key);
          if (option == null) {
            throw value.wrong(
                "is no option of %s; did you mean '%s'?"
                    .formatted(command.name(), Nearest.to(key, known.keySet())));
          }
          text(option, value);
        });
  }

  /** What it says of an option; null for nothing. */
  @Nullable Value value(OptionSpec option) {
    YamlValue value = settings.get(OptionDefaults.name(option));
    return value == null
        ? null
        : new Value(text(option, value), "%s, line %d".formatted(name, value.line()));
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
