package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.call.KeyTerms;
import io.tercel.server.call.TestKeys;
import io.tercel.server.testing.TestServer;
import io.tercel.server.yaml.YamlFile;
import io.tercel.server.yaml.YamlValue;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code docs/deploy} asks Prometheus for is what a server tells it. */
class DeployTest {
  private static final Path DEPLOY = Path.of("../docs/deploy");

  /** What Prometheus adds to each series, and the one figure that is its own. */
  private static final Set<String> ADDED = Set.of("job", "instance");

  private static final String UP = "up";

  /** Words of PromQL that stand where a figure's name may stand. */
  private static final Set<String> WORDS =
      Set.of("sum", "max", "min", "by", "and", "or", "unless", "on", "ignoring", "without");

  private static final Pattern NAME = Pattern.compile("[a-zA-Z_:][a-zA-Z0-9_:]*");
  private static final Pattern SELECTOR = Pattern.compile("([a-zA-Z_:][a-zA-Z0-9_:]*)\\{([^}]*)}");
  private static final Pattern GROUPING = Pattern.compile("\\b(?:by|without|on)\\s*\\(([^)]*)\\)");

  @TempDir static Path folder;

  /** Labels of each figure that a server with everything switched on tells. */
  private static final Map<String, Set<String>> FIGURES = new HashMap<>();

  @BeforeAll
  static void readFigures() throws Exception {
    TestKeys keys = new TestKeys(null, null).with("alice", KeyTerms.CLIENT);
    try (ServedPorts ports = new ServedPorts(TestServer.USUAL, config -> config.keys(keys.keys));
        ServedKeys served = ServedKeys.of(null, null, keyFile());
        Observation observation = Observation.of(folder.resolve("log.jsonl").toString(), null)) {
      served.watch(ports.model.api.metrics());
      observation.report(ports.model.api.metrics());
      String json = "{\"prompt\": \"a\", \"max_tokens\": 3}";
      assertEquals(200, ports.post("alice-secret", "/v1/completions", json).status());
      for (String line : ports.model.api.metrics().text().lines().toList()) {
        if (!line.startsWith("#")) {
          Matcher name = NAME.matcher(line);
          assertTrue(name.lookingAt(), line);
          Set<String> labels = FIGURES.computeIfAbsent(name.group(), _ -> new TreeSet<>());
          Matcher label = Pattern.compile("([a-z_]+)=\"").matcher(line);
          while (label.find()) {
            labels.add(label.group(1));
          }
        }
      }
    }
  }

  private static Path keyFile() throws Exception {
    return Files.writeString(folder.resolve("keys.yaml"), "keys: []");
  }

  @AfterAll
  static void figuresWereRead() {
    assertTrue(FIGURES.size() > 60, FIGURES.keySet().toString());
  }

  /** Each figure of an expression is one of ours, with labels that it has. */
  private static void check(String expression) {
    String plain =
        expression
            .replaceAll("\\$__rate_interval|\\$__interval", "5m")
            .replaceAll("\"[^\"]*\"", "\"\"");
    Set<String> used = new HashSet<>();
    Matcher selector = SELECTOR.matcher(plain);
    while (selector.find()) {
      for (String matcher : selector.group(2).split(",")) {
        requireLabel(selector.group(1), matcher.split("[=!~]")[0].strip(), expression);
      }
    }
    String bare = plain.replaceAll("\\{[^}]*}", "").replaceAll("\\[[^]]*]", "");
    Matcher name = NAME.matcher(GROUPING.matcher(bare).replaceAll(""));
    while (name.find()) {
      boolean function = bare.startsWith("(", name.end()) || WORDS.contains(name.group());
      if (!name.group().equals(UP) && !isFunction(bare, name.group()) && !function) {
        assertTrue(FIGURES.containsKey(name.group()), name.group() + " in " + expression);
        used.add(name.group());
      }
    }
    assertTrue(!used.isEmpty() || plain.startsWith(UP), "no figure in " + expression);
    Matcher grouping = GROUPING.matcher(bare);
    while (grouping.find()) {
      for (String label : grouping.group(1).split(",")) {
        used.forEach(figure -> requireLabel(figure, label.strip(), expression));
      }
    }
  }

  private static boolean isFunction(String expression, String name) {
    return Pattern.compile("\\b" + Pattern.quote(name) + "\\s*\\(").matcher(expression).find();
  }

  private static void requireLabel(String figure, String label, String expression) {
    assertTrue(
        ADDED.contains(label) || FIGURES.getOrDefault(figure, Set.of()).contains(label),
        "%s has no label '%s': %s".formatted(figure, label, expression));
  }

  @Test
  void dashboard_asksForWhatThereIs() throws Exception {
    JsonNode dashboard = Json.MAPPER.readTree(DEPLOY.resolve("grafana/tercel.json").toFile());
    Set<Integer> ids = new HashSet<>();
    int asked = 0;
    for (JsonNode panel : dashboard.path("panels")) {
      assertTrue(ids.add(panel.path("id").asInt()), "two panels of an id: " + panel);
      JsonNode place = panel.path("gridPos");
      assertTrue(place.path("x").asInt() + place.path("w").asInt() <= 24, panel.toString());
      for (JsonNode target : panel.path("targets")) {
        String expression = target.path("expr").asText();
        check(expression);
        asked++;
        Matcher legend =
            Pattern.compile("\\{\\{(\\w+)}}").matcher(target.path("legendFormat").asText());
        while (legend.find()) {
          assertTrue(
              Pattern.compile("by \\([^)]*\\b" + legend.group(1) + "\\b")
                  .matcher(expression)
                  .find(),
              "the legend names what is summed over: " + target);
        }
      }
    }
    assertTrue(asked > 30, "expressions: " + asked);
    for (JsonNode variable : dashboard.path("templating").path("list")) {
      Matcher values =
          Pattern.compile("label_values\\((.*), (\\w+)\\)")
              .matcher(variable.path("definition").asText());
      if (values.matches()) {
        check(values.group(1));
        requireLabel("vllm:num_requests_running", values.group(2), values.group());
      }
    }
  }

  private static YamlValue field(YamlValue of, String name) {
    return Objects.requireNonNull(of.fields().get(name), name);
  }

  @Test
  void alerts_askForWhatThereIs() throws Exception {
    Path file = DEPLOY.resolve("prometheus/alerts.yaml");
    YamlValue root = YamlFile.read("alerts.yaml", Files.readAllBytes(file));
    List<String> names = new ArrayList<>();
    for (YamlValue rule : field(field(root, "groups").list().getFirst(), "rules").list()) {
      Map<String, YamlValue> fields = rule.fields();
      assertTrue(
          Set.of("alert", "expr", "for", "labels", "annotations").containsAll(fields.keySet()),
          fields.keySet().toString());
      names.add(field(rule, "alert").text());
      check(field(rule, "expr").text());
      String severity = field(field(rule, "labels"), "severity").text();
      assertTrue(Set.of("warning", "critical").contains(severity), severity);
      for (String words : List.of("summary", "description")) {
        assertFalse(field(field(rule, "annotations"), words).text().isBlank());
      }
    }
    assertTrue(names.size() >= 10, names.toString());
    assertEquals(names.size(), Set.copyOf(names).size());
  }
}
