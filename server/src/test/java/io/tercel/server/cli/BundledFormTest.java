package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.testing.TestServing;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The bundled model thinks as it likes and then answers in a form that it has never seen. */
class BundledFormTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static TestServing serving;

  @BeforeAll
  static void open() throws Exception {
    serving = new TestServing(Path.of("models/bundled"), TestServing.fp32());
  }

  @AfterAll
  static void close() {
    serving.close();
  }

  private static JsonNode ask(Map<String, Object> fields) throws Exception {
    Map<String, Object> body = new LinkedHashMap<>(fields);
    body.put("messages", List.of(Map.of("role", "user", "content", "Add 48 and 67.")));
    body.put("max_tokens", 500);
    body.putIfAbsent("temperature", 0);
    return serving.post("/v1/chat/completions", body).at("/choices/0");
  }

  private static Map<String, Object> schema() {
    return Map.of(
        "type",
        "json_schema",
        "json_schema",
        Map.of(
            "schema",
            Map.of(
                "type",
                "object",
                "properties",
                Map.of("sum", Map.of("type", "integer", "minimum", 0, "maximum", 999)),
                "required",
                List.of("sum"))));
  }

  @Test
  void thought_isThatOfAFreeAnswer() throws Exception {
    JsonNode free = ask(Map.of());
    JsonNode bound = ask(Map.of("structured_outputs", Map.of("choice", List.of("115", "116"))));
    String thought = free.at("/message/reasoning").asText();
    assertTrue(thought.length() > 20, thought);
    assertEquals(thought, bound.at("/message/reasoning").asText());
    assertEquals("stop", bound.path("finish_reason").asText());
    assertTrue(Set.of("115", "116").contains(bound.at("/message/content").asText()));
    System.out.println("bundled: " + free.path("message") + "\nchoice: " + bound.path("message"));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void schema_holdsAtAnyTemperature(int seed) throws Exception {
    double temperature = seed == 1 ? 0 : 0.4 * seed;
    JsonNode choice =
        ask(Map.of("response_format", schema(), "temperature", temperature, "seed", seed));
    String content = choice.at("/message/content").asText();
    if (choice.path("finish_reason").asText().equals("stop")) {
      JsonNode sum = JSON.readTree(content).path("sum");
      assertTrue(sum.isInt() && sum.asInt() >= 0 && sum.asInt() <= 999, content);
    } else {
      assertTrue(seed > 1, "greedy ends: " + choice);
    }
    System.out.println("seed " + seed + ": " + choice.path("finish_reason") + " " + content);
  }
}
