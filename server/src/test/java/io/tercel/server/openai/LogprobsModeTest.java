package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.testing.TestServing;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Log-probs of a model that computes, as it says them and as they were drawn from. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class LogprobsModeTest {
  private TestServing serving;

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    TinyCheckpoint.qwen3().layers(1).vocab(300).write(directory);
    serving = new TestServing(directory, TestServing.fp32().maxChoices(130));
  }

  @AfterAll
  void stop() {
    serving.close();
  }

  private static Map<String, Object> asked(Object... more) {
    Map<String, Object> fields = new HashMap<>();
    fields.put("prompt", List.of(1, 2, 3, 4));
    fields.put("max_tokens", 12);
    fields.put("seed", 5);
    fields.put("temperature", 4);
    fields.put("top_k", 3);
    fields.put("logprobs", 20);
    fields.put("ignore_eos", true);
    fields.put("return_token_ids", true);
    for (int i = 0; i < more.length; i += 2) {
      fields.put((String) more[i], more[i + 1]);
    }
    return fields;
  }

  private JsonNode choice(Map<String, Object> fields) throws Exception {
    return serving.post("/v1/completions", fields).at("/choices/0");
  }

  @Test
  void processed_isTheDistributionThatWasDrawnFrom() throws Exception {
    JsonNode raw = choice(asked());
    assertEquals(raw, choice(asked("logprobs_mode", "raw")));
    assertEquals(raw, choice(asked("logprobs_mode", "raw_logprobs")));
    JsonNode processed = choice(asked("logprobs_mode", "processed_logprobs"));
    assertEquals(processed, choice(asked("logprobs_mode", "processed")));
    assertEquals(raw.path("token_ids"), processed.path("token_ids"), "what is drawn is the same");
    for (int i = 0; i < 12; i++) {
      JsonNode likeliest = processed.at("/logprobs/top_logprobs/" + i);
      assertEquals(
          3,
          likeliest.size(),
          "top_k leaves so many: " + likeliest + " of " + raw.at("/logprobs/top_logprobs/" + i));
      assertTrue(raw.at("/logprobs/top_logprobs/" + i).size() >= 20);
      double sum = 0;
      double rawMass = 0;
      JsonNode before = raw.at("/logprobs/top_logprobs/" + i);
      for (Iterator<String> names = likeliest.fieldNames(); names.hasNext(); ) {
        String name = names.next();
        sum += Math.exp(likeliest.path(name).asDouble());
        rawMass += Math.exp(before.path(name).asDouble() / 4);
      }
      assertEquals(1, sum, 1e-5);
      String drawn = processed.at("/logprobs/tokens/" + i).asText();
      double expected = before.path(drawn).asDouble() / 4 - Math.log(rawMass);
      assertEquals(expected, likeliest.path(drawn).asDouble(), 1e-4, "at temperature 4");
      assertEquals(
          likeliest.path(drawn).asDouble(),
          processed.at("/logprobs/token_logprobs/" + i).asDouble());
    }
  }

  @Test
  void processed_leavesThePromptsScoresAlone() throws Exception {
    JsonNode raw = choice(asked("prompt_logprobs", 2)).path("prompt_logprobs");
    assertTrue(raw.path(1).size() >= 2, raw.toString());
    assertEquals(
        raw,
        choice(asked("prompt_logprobs", 2, "logprobs_mode", "processed")).path("prompt_logprobs"));
  }

  @Test
  void choices_asManyAsTheServerAllows() throws Exception {
    Map<String, Object> many = asked("n", 130, "max_tokens", 1, "logprobs", 0);
    JsonNode all = serving.post("/v1/completions", many).path("choices");
    assertEquals(130, all.size());
    assertEquals(1, all.at("/129/token_ids").size());
    many.put("n", 131);
    String refused = serving.ask("/v1/completions", many).body();
    assertTrue(refused.contains("\"param\":\"n\"") && refused.contains("130"), refused);
    many.put("n", 44);
    many.put("prompt", List.of(List.of(1), List.of(2), List.of(3)));
    String prompts = serving.ask("/v1/completions", many).body();
    assertTrue(prompts.contains("\"param\":\"prompt\""), prompts);
  }
}
