package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;

/** Options of the command line, the environment and a file. */
class OptionDefaultsTest {
  @TempDir Path folder;

  private static CommandLine line() {
    return Tercel.commandLine(ServiceLoader.load(Command.class));
  }

  private CommandLine.ParseResult parsed(Map<String, String> environment, String... args) {
    CommandLine line = line();
    Tercel.takeDefaults(line, environment, args);
    return line.parseArgs(args).subcommand();
  }

  private String config(String yaml) throws Exception {
    return Files.writeString(folder.resolve("tercel.yaml"), yaml).toString();
  }

  private static Object value(CommandLine.ParseResult parsed, String option) {
    return parsed.commandSpec().findOption(option).getValue();
  }

  @Test
  void commandLine_beforeEnvironment_beforeFile_beforeDefault() throws Exception {
    String file =
        config(
            """
            # a server's
            model: /models/a
            port: 1
            max-model-len: 1
            max-num-seqs: 1
            """);
    Map<String, String> environment =
        Map.of("TERCEL_MAX_MODEL_LEN", "2", "TERCEL_MAX_NUM_SEQS", "2", "TERCEL_HOST", "");
    var parsed =
        parsed(environment, "serve", "--config", file, "--max-num-seqs", "3", "--drain-timeout=3");
    assertEquals("/models/a", value(parsed, "--model"));
    assertEquals(1, value(parsed, "--port"));
    assertEquals(2, value(parsed, "--max-model-len"));
    assertEquals(3, value(parsed, "--max-num-seqs"));
    assertEquals("127.0.0.1", value(parsed, "--host"), "an empty variable is none");
    assertEquals(512, value(parsed, "--max-num-batched-tokens"));
  }

  /** Each kind of option, from the file and from the environment. */
  @Test
  void everyKindOfOption() throws Exception {
    String file =
        config(
            """
            page: false
            prefix-caching: false
            response-store: 64M
            kv-cache-memory: 1G
            stall-timeout: 2.5
            served-model-name: [a, b]
            class-places: chat=5,batch=2
            class-tokens: [chat=1, rollout=3]
            tls-key: key.pem
            plan: true
            """);
    var fromFile = parsed(Map.of("TERCEL_CONFIG", file), "serve");
    var fromEnvironment =
        parsed(
            Map.ofEntries(
                Map.entry("TERCEL_PAGE", "false"),
                Map.entry("TERCEL_PREFIX_CACHING", "false"),
                Map.entry("TERCEL_RESPONSE_STORE", "64M"),
                Map.entry("TERCEL_KV_CACHE_MEMORY", "1G"),
                Map.entry("TERCEL_STALL_TIMEOUT", "2.5"),
                Map.entry("TERCEL_SERVED_MODEL_NAME", "a,b"),
                Map.entry("TERCEL_CLASS_PLACES", "chat=5,batch=2"),
                Map.entry("TERCEL_CLASS_TOKENS", "chat=1,rollout=3"),
                Map.entry("TERCEL_TLS_KEY", "key.pem"),
                Map.entry("TERCEL_PLAN", "true")),
            "serve");
    for (var parsed : List.of(fromFile, fromEnvironment)) {
      assertEquals(false, value(parsed, "--page"));
      assertEquals(false, value(parsed, "--prefix-caching"));
      assertEquals(64L << 20, value(parsed, "--response-store"));
      assertEquals(1L << 30, value(parsed, "--kv-cache-memory"));
      assertEquals(2.5, value(parsed, "--stall-timeout"));
      assertEquals(List.of("a", "b"), value(parsed, "--served-model-name"));
      assertEquals(Map.of("chat", 5, "batch", 2), value(parsed, "--class-places"));
      assertEquals(Map.of("chat", 1, "rollout", 3), value(parsed, "--class-tokens"));
      assertEquals(Path.of("key.pem"), value(parsed, "--tls-key"));
      assertEquals(true, value(parsed, "--plan"));
    }
    var over =
        parsed(
            Map.of("TERCEL_CONFIG", file, "TERCEL_PAGE", "false"),
            "serve",
            "--page",
            "--served-model-name=c");
    assertEquals(true, value(over, "--page"));
    assertEquals(List.of("c"), value(over, "--served-model-name"), "not behind those of the file");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "max-modl-len: 5 | line 1: max-modl-len is no option of serve; did you mean 'max-model-len'?",
        "port: 1\\nmax_model_len: 5 | line 2: max_model_len is no option of serve; did you mean 'max-model-len'?",
        "--port: 1 | line 1: --port is no option of serve; did you mean 'port'?",
        "no-page: true | line 1: no-page is no option of serve; did you mean 'page'?",
        "config: x | line 1: config is no option of serve",
        "help: true | line 1: help is no option of serve",
        "port: [1, 2] | line 1: port takes one value, not a list",
        "port: {a: 1} | line 1: port must be one value, not a map",
        "port: | line 1: port has no value",
        "served-model-name: [] | line 1: served-model-name must have one value at least",
        "served-model-name:\\n- a\\n- b,c | line 3: served-model-name[1] must not have ','",
        "port: 1\\nport: 2 | line 2: port is there twice",
        "serve | line 1: must have fields",
        "port: 1: 2 | line 1: is not YAML",
      })
  void badFile_namesLineAndSetting(String yaml, String message) throws Exception {
    String file = config(yaml.replace("\\n", "\n"));
    UserException e =
        assertThrows(UserException.class, () -> parsed(Map.of(), "serve", "--config=" + file));
    assertTrue(
        String.valueOf(e.getMessage()).startsWith("--config: tercel.yaml, " + message),
        e.getMessage());
    assertEquals(1, Tercel.run(Map.of("TERCEL_CONFIG", file), "serve", "--plan"));
  }

  @Test
  void noFile_saysSo() {
    UserException e =
        assertThrows(
            UserException.class, () -> parsed(Map.of(), "serve", "--config", "/none/x.yaml"));
    assertEquals("--config: /none/x.yaml is not there", e.getMessage());
  }

  /** What can't be read says where it comes from. */
  @Test
  void badValue_namesItsPlace() throws Exception {
    assertTrue(
        complaint(Map.of("TERCEL_PORT", "eighty"), "serve")
            .contains("'--port': 'eighty' is not an int (TERCEL_PORT)"));
    String file = config("\nport: eighty\n");
    assertTrue(
        complaint(Map.of("TERCEL_CONFIG", file), "serve")
            .contains("'--port': 'eighty' is not an int (tercel.yaml, line 2)"));
    assertTrue(
        complaint(Map.of("TERCEL_PAGE", "off"), "serve")
            .contains("'off' is not a boolean (TERCEL_PAGE)"));
    String own = complaint(Map.of("TERCEL_PORT", "80"), "serve", "--port", "eighty");
    assertTrue(
        own.contains("'eighty' is not an int\n") || own.contains("'eighty' is not an int\r"), own);
  }

  private static String complaint(Map<String, String> environment, String... args) {
    CommandLine line = line();
    StringWriter err = new StringWriter();
    line.setErr(new PrintWriter(err));
    Tercel.takeDefaults(line, environment, args);
    assertEquals(2, line.execute(args));
    return err.toString();
  }

  /** A server's surroundings mean nothing to other commands that run in them. */
  @Test
  void otherCommands_haveVariablesOfTheirOwn() {
    var parsed = parsed(Map.of("TERCEL_MODEL", "x"), "chat");
    assertNull(parsed.commandSpec().findOption("--model").getValue());
    parsed = parsed(Map.of("TERCEL_CHAT_MODEL", "/m"), "chat");
    assertEquals("/m", String.valueOf(value(parsed, "--model")));
  }

  /** No variable stands for two options, whatever the command. */
  @Test
  void variables_differ() {
    Map<String, ArgSpec> all = new HashMap<>();
    collect(line(), all);
    assertNotNull(all.get("TERCEL_MAX_MODEL_LEN"));
    assertNotNull(all.get("TERCEL_API_KEYS"));
    assertTrue(all.size() > 50, "there are options: " + all.size());
  }

  private static void collect(CommandLine line, Map<String, ArgSpec> all) {
    for (OptionSpec option : line.getCommandSpec().options()) {
      String variable = OptionDefaults.variable(option);
      if (variable != null) {
        ArgSpec other = all.put(variable, option);
        assertNull(other, () -> variable + ": " + option + " and " + other);
      }
    }
    line.getSubcommands().values().forEach(below -> collect(below, all));
  }

  @Test
  void help_tellsOfBoth() {
    String help = Objects.requireNonNull(line().getSubcommands().get("serve")).getUsageMessage();
    assertTrue(help.contains("TERCEL_MAX_MODEL_LEN") && help.contains("--config"), help);
  }
}
