package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.ops.TokenResult.TokenLogprob;
import io.tercel.server.call.Json;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The legacy log-probs: where tokens stand in the returned text, and what they are called. */
class TextLogprobsTest {
  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static JsonNode complete(String body) throws Exception {
    var response = server.post("/v1/completions", "{\"logprobs\": 0, " + body + "}");
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body()).at("/choices/0");
  }

  private static void assertOffsets(JsonNode choice, String text, Integer... offsets) {
    assertEquals(text, choice.path("text").asText());
    assertEquals(
        Arrays.asList(offsets),
        Json.MAPPER.convertValue(choice.at("/logprobs/text_offset"), List.class));
  }

  @Test
  void offsets_countCodePoints_andPartsOfACharacterShareThem() throws Exception {
    server.says("a😀zé你!<|im_end|>");
    assertOffsets(
        complete("\"prompt\": \"Once\""), "a😀zé你!", 0, 1, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6);
  }

  @Test
  void offsets_goOnBehindAnEchoedText() throws Exception {
    server.says("é!<|im_end|>");
    assertOffsets(
        complete("\"echo\": true, \"prompt\": \"x😀y\""), "x😀yé!", 0, 1, 1, 1, 1, 2, 3, 3, 4, 5);
  }

  @Test
  void offsets_goOnBehindEchoedIds_evenIfTheyEndWithinACharacter() throws Exception {
    server.says("b<|im_end|>");
    String ids = "[" + TinyText.IM_START + ", 97, " + 0xf0 + ", " + 0x9f + "]";
    JsonNode choice = complete("\"echo\": true, \"prompt\": " + ids);
    String text = choice.path("text").asText();
    assertTrue(text.startsWith("<|im_start|>a�") && text.endsWith("b"), text);
    int prompt = text.codePointCount(0, text.length()) - 1;
    assertOffsets(choice, text, 0, 12, 13, 13, prompt, prompt + 1);
  }

  @Test
  void offsets_ofSpecialTokensThatAreLeftOut() throws Exception {
    server.says("a<|im_start|>b<|im_end|>");
    assertOffsets(complete("\"prompt\": \"Once\""), "ab", 0, 1, 1, 2);
    assertOffsets(
        complete("\"prompt\": \"Once\", \"skip_special_tokens\": false"),
        "a<|im_start|>b",
        0,
        1,
        13,
        14);
  }

  @Test
  void offsets_ofWhatAStopStringCutOff() throws Exception {
    server.says("ab😀defg");
    assertOffsets(
        complete("\"prompt\": \"Once\", \"stop\": \"😀de\""), "ab", 0, 1, 2, 2, 2, 2, 2, 2);
    assertOffsets(
        complete("\"prompt\": \"Once\", \"stop\": \"😀de\", \"include_stop_str_in_output\": true"),
        "ab😀de",
        0,
        1,
        2,
        2,
        2,
        2,
        3,
        4);
  }

  /** Half a character that turns out to be none comes out with the token behind it. */
  @Test
  void offsets_afterBytesThatAreNoCharacter() throws Exception {
    server.backend.script = choice -> new int[] {'a', 0xf0, 0x9f, 'x', 'y', TinyText.IM_END};
    JsonNode choice = complete("\"prompt\": \"Once\"");
    String text = choice.path("text").asText();
    int x = text.codePointCount(0, text.indexOf('x'));
    assertTrue(x >= 2, text);
    assertOffsets(choice, text, 0, 1, 1, x, x + 1, x + 2);
  }

  @Test
  void offsets_streamedAreThoseOfTheWhole() throws Exception {
    server.says("a😀zé你!<|im_end|>");
    String body = "\"echo\": true, \"prompt\": \"é1\"";
    JsonNode whole = complete(body).at("/logprobs/text_offset");
    var response =
        server.post("/v1/completions", "{\"logprobs\": 0, \"stream\": true, " + body + "}");
    List<JsonNode> streamed = new ArrayList<>();
    for (JsonNode chunk : Events.parse(response.body()).chunks()) {
      chunk.at("/choices/0/logprobs/text_offset").forEach(streamed::add);
    }
    List<JsonNode> expected = new ArrayList<>();
    whole.forEach(expected::add);
    assertEquals(expected, streamed);
  }

  /** Ten alternatives, among them parts of characters, and rows of a padded vocabulary. */
  @Test
  void topLogprobs_keepAllEntries() {
    Logprobs logprobs = new Logprobs(server.tokenizer);
    List<TokenLogprob> top = new ArrayList<>();
    int[] ids = {0xf0, 0xf1, 0xe4, 'a', 0xbd, 0xc3, 400, 401, TinyText.IM_END, '\\'};
    for (int i = 0; i < ids.length; i++) {
      top.add(new TokenLogprob(ids[i], -i));
    }
    Map<String, Float> drawn = logprobs.likeliest(new TokenResult(0xe4, -2, 3, top), 10);
    assertEquals(
        Map.of(
            "bytes:\\xf0", 0f,
            "bytes:\\xf1", -1f,
            "bytes:\\xe4", -2f,
            "a", -3f,
            "bytes:\\xbd", -4f,
            "bytes:\\xc3", -5f,
            "", -6f,
            "token_id:401", -7f,
            "<|im_end|>", -8f,
            "\\", -9f),
        drawn);
    assertEquals(
        11, logprobs.likeliest(new TokenResult('z', -20, 11, top), 10).size(), "and the drawn one");
    assertEquals(5, logprobs.likeliest(new TokenResult(0xf0, 0, 1, top), 5).size());
  }
}
