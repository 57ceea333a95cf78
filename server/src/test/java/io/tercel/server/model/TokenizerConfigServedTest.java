package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.testing.TestServing;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a served model takes from tokenizer_config.json. */
class TokenizerConfigServedTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int END_OF_TEXT = 256;
  private static final int IM_END = 258;

  @TempDir private Path directory;

  @BeforeEach
  void write() throws Exception {
    TinyCheckpoint.qwen3().vocab(300).write(directory);
  }

  private void change(String file, String field, JsonNode value) throws Exception {
    Path path = directory.resolve(file);
    ObjectNode config = (ObjectNode) JSON.readTree(path.toFile());
    config.set(field, value);
    Files.write(path, JSON.writeValueAsBytes(config));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"<|im_end|>\"", "{\"content\": \"<|im_end|>\", \"special\": true}"})
  void eosToken_ofTheTokenizerEndsToo(String eos) throws Exception {
    change("config.json", "eos_token_id", JSON.readTree("" + END_OF_TEXT));
    change("generation_config.json", "eos_token_id", JSON.readTree("" + END_OF_TEXT));
    change("tokenizer_config.json", "eos_token", JSON.readTree(eos));
    try (TestServing serving = new TestServing(directory, TestServing.fp32())) {
      assertEquals(Set.of(END_OF_TEXT, IM_END), serving.model().served().eosTokenIds());
      // the model is made to draw it, behind five other tokens
      JsonNode answer =
          serving.post(
              "/v1/chat/completions",
              Map.of(
                  "messages",
                  List.of(Map.of("role", "user", "content", "hi")),
                  "logit_bias",
                  Map.of("" + IM_END, 100),
                  "min_tokens",
                  5,
                  "max_tokens",
                  40));
      assertEquals("stop", answer.at("/choices/0/finish_reason").asText());
      assertEquals(6, answer.at("/usage/completion_tokens").intValue());
      assertTrue(answer.at("/choices/0/stop_reason").isNull());
    }
  }

  @Test
  void toolUseTemplate_rendersRequestsWithTools() throws Exception {
    change(
        "tokenizer_config.json",
        "chat_template",
        JSON.readTree(
            """
            [{"name": "default", "template": "plain {{ messages[0].content }}"},
             {"name": "rag", "template": "rag"},
             {"name": "tool_use", "template": "{{ tools | length }} tools {{ messages[0].content }}"}]
            """));
    try (TestServing serving = new TestServing(directory, TestServing.fp32())) {
      String messages = "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";
      String tools = ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]";
      assertEquals("plain hi", prompt(serving, messages));
      assertEquals("1 tools hi", prompt(serving, messages + tools));
      assertEquals("plain hi", prompt(serving, messages + tools + ", \"tool_choice\": \"none\""));
    }
  }

  private static String prompt(TestServing serving, String fields) throws Exception {
    JsonNode ids = serving.post("/tokenize", JSON.readTree("{" + fields + "}")).path("tokens");
    return serving.post("/detokenize", Map.of("tokens", ids)).path("prompt").asText();
  }
}
