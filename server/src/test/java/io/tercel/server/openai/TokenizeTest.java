package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizeTest {
  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private JsonNode ok(String path, String json) throws Exception {
    var response = server.post(path, json);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  @Test
  void text_thereAndBack() throws Exception {
    JsonNode there = ok("/tokenize", "{\"prompt\": \"Hé</think>\", \"return_token_strs\": true}");
    assertEquals("[72,195,169,259]", there.path("tokens").toString());
    assertEquals(4, there.path("count").intValue());
    assertEquals(TestServer.MAX_MODEL_LEN, there.path("max_model_len").intValue());
    assertEquals("</think>", there.path("token_strs").get(3).asText());
    JsonNode back = ok("/detokenize", "{\"tokens\": [72,195,169,259]}");
    assertEquals("Hé</think>", back.path("prompt").asText());
    assertEquals("", ok("/detokenize", "{\"tokens\": []}").path("prompt").asText());
  }

  @Test
  void conversation_asTheChatRouteMakesIt() throws Exception {
    String messages = "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";
    JsonNode chat = Json.MAPPER.readTree(server.chat("\"return_token_ids\": true").body());
    JsonNode tokens = ok("/tokenize", "{" + messages + "}");
    assertEquals(chat.path("prompt_token_ids"), tokens.path("tokens"));
    JsonNode without = ok("/tokenize", "{" + messages + ", \"add_generation_prompt\": false}");
    assertTrue(without.path("count").intValue() < tokens.path("count").intValue());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "/tokenize | {} | prompt",
        "/tokenize | {\"prompt\": 7} | prompt",
        "/tokenize | {\"prompt\": \"x\", \"messages\": []} | prompt",
        "/tokenize | {\"messages\": []} | messages",
        "/tokenize | {\"prompt\": \"x\", \"model\": \"other\"} | model",
        "/detokenize | {} | tokens",
        "/detokenize | {\"tokens\": \"x\"} | tokens",
        "/detokenize | {\"tokens\": [1, -1]} | tokens[1]",
        "/detokenize | {\"tokens\": [[1]]} | tokens[0]",
      })
  void badInput_namesTheField(String path, String json, String param) throws Exception {
    var response = server.post(path, json);
    assertEquals(json.contains("other") ? 404 : 400, response.statusCode());
    assertEquals(param, Json.MAPPER.readTree(response.body()).path("error").path("param").asText());
  }
}
