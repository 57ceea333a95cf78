package io.tercel.server.sglang;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Guard;
import io.tercel.server.call.Json;
import io.tercel.server.call.Keys;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpService;
import io.tercel.server.http.Router;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SGLang's route as its clients use it. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class GenerateTest {
  private TestServer server;
  private HttpServer http;

  @BeforeAll
  void start() throws Exception {
    server = new TestServer(TestServer.USUAL.saying("ab-cd<|im_end|>"));
    http = new HttpServer(server.config, new Alone());
    http.start();
  }

  @AfterAll
  void stop() throws Exception {
    http.close();
    server.awaitIdle();
    server.close();
  }

  /** The route without the rest of the admin port. */
  private final class Alone implements HttpService {
    @Override
    public void addTo(Router router, HttpServer on) {
      new GenerateRoutes(server.api.context()).addTo(router, on);
    }

    @Override
    public Guard guard(Keys keys, boolean loopback) {
      return keys.control(loopback);
    }

    @Override
    public ErrorFormat errors() {
      return (ApiException error, String id) ->
          Map.of("param", String.valueOf(error.param()), "message", error.getMessage());
    }

    @Override
    public boolean ready() {
      return true;
    }

    @Override
    public void drain() {}
  }

  private HttpResponse<String> ask(String body) throws Exception {
    return server.client.send(
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + http.port() + "/generate"))
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build(),
        HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
  }

  private JsonNode ok(String body) throws Exception {
    HttpResponse<String> response = ask(body);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private static List<Integer> ints(JsonNode array) {
    List<Integer> all = new ArrayList<>();
    array.forEach(id -> all.add(id.asInt(-1)));
    return all;
  }

  private static List<Integer> said(String text) {
    return IntStream.of(TinyText.ids(text)).boxed().toList();
  }

  @Test
  void onePrompt_isAnsweredByOneObject() throws Exception {
    JsonNode answer = ok("{\"text\": \"Once\", \"rid\": \"r-1\"}");
    assertEquals("ab-cd", answer.path("text").asText());
    assertEquals(said("ab-cd<|im_end|>"), ints(answer.path("output_ids")));
    JsonNode meta = answer.path("meta_info");
    assertEquals("r-1", meta.path("id").asText());
    assertEquals("stop", meta.at("/finish_reason/type").asText());
    assertEquals(TinyText.IM_END, meta.at("/finish_reason/matched").asInt());
    assertEquals(4, meta.path("prompt_tokens").asInt());
    assertEquals(6, meta.path("completion_tokens").asInt());
    assertEquals(0, meta.path("cached_tokens").asInt(-1));
    assertEquals(1, meta.path("weight_version").asInt());
    assertTrue(meta.path("e2e_latency").asDouble() > 0);
    assertTrue(meta.path("output_token_logprobs").isMissingNode(), "unasked: " + meta);
    assertTrue(meta.path("weight_versions").isMissingNode(), "unasked: " + meta);
  }

  @Test
  void lengthStopAndTrim() throws Exception {
    JsonNode cut = ok("{\"input_ids\": [49, 50], \"sampling_params\": {\"max_new_tokens\": 3}}");
    assertEquals("ab-", cut.path("text").asText());
    assertEquals(
        "{\"type\":\"length\",\"length\":3}", cut.at("/meta_info/finish_reason").toString());
    JsonNode stopped = ok("{\"text\": \"x\", \"sampling_params\": {\"stop\": [\"-c\"]}}");
    assertEquals("ab", stopped.path("text").asText());
    assertEquals(
        "{\"type\":\"stop\",\"matched\":\"-c\"}",
        stopped.at("/meta_info/finish_reason").toString());
    JsonNode shown =
        ok("{\"text\": \"x\", \"sampling_params\": {\"stop\": \"-c\", \"no_stop_trim\": true}}");
    assertEquals("ab-c", shown.path("text").asText());
    JsonNode byId = ok("{\"text\": \"x\", \"sampling_params\": {\"stop_token_ids\": [98]}}");
    assertEquals(98, byId.at("/meta_info/finish_reason/matched").asInt());
  }

  @Test
  void logprobs_areTriples() throws Exception {
    JsonNode meta =
        ok("{\"text\": \"Once\", \"return_logprob\": true, \"sampling_params\": {\"max_new_tokens\": 2}}")
            .path("meta_info");
    assertEquals("[[-0.5,97,null],[-0.5,98,null]]", meta.path("output_token_logprobs").toString());
    assertEquals("[]", meta.path("input_token_logprobs").toString(), "the output's alone");
    assertTrue(meta.path("output_top_logprobs").isMissingNode());
    JsonNode all =
        ok("{\"text\": \"Once\", \"return_logprob\": true, \"logprob_start_len\": 1, \"top_logprobs_num\": 2,"
                + " \"return_text_in_logprobs\": true, \"sampling_params\": {\"max_new_tokens\": 1}}")
            .path("meta_info");
    assertEquals(
        "[[null,110,\"n\"],[-0.5,99,\"c\"],[-0.5,101,\"e\"]]",
        all.path("input_token_logprobs").toString());
    assertTrue(all.at("/input_top_logprobs/0").isNull(), all.toString());
    assertEquals(2, all.at("/input_top_logprobs/1").size());
    assertEquals("[[-0.5,97,\"a\"]]", all.path("output_token_logprobs").toString());
    assertEquals(2, all.at("/output_top_logprobs/0").size());
    assertEquals(-9999, all.at("/output_top_logprobs/0/1/0").asInt(), "JSON has no infinity");
  }

  /** A teacher scores a text and says nothing. */
  @Test
  void promptAlone_isScored() throws Exception {
    JsonNode answer =
        ok(
            "{\"input_ids\": [1, 2, 3], \"return_logprob\": true, \"logprob_start_len\": 0,"
                + " \"sampling_params\": {\"max_new_tokens\": 0}}");
    assertEquals(3, answer.at("/meta_info/input_token_logprobs").size());
    assertEquals(0, answer.path("output_ids").size());
    assertEquals("length", answer.at("/meta_info/finish_reason/type").asText());
  }

  @Test
  void batch_withParametersOfEach_promptByPrompt() throws Exception {
    JsonNode answers =
        ok(
            """
            {"text": ["one", "two"], "rid": "b",
             "sampling_params": [{"n": 2, "max_new_tokens": 1}, {"max_new_tokens": 2}],
             "return_logprob": [true, false], "return_weight_versions": true}""");
    assertEquals(3, answers.size());
    assertEquals("b#0", answers.at("/0/meta_info/id").asText());
    assertEquals("b#0", answers.at("/1/meta_info/id").asText());
    assertEquals("b#1", answers.at("/2/meta_info/id").asText());
    assertEquals(1, answers.at("/1/output_ids").size());
    assertEquals(2, answers.at("/2/output_ids").size());
    assertEquals(1, answers.at("/1/meta_info/output_token_logprobs").size());
    assertTrue(answers.at("/2/meta_info/output_token_logprobs").isMissingNode());
    assertEquals(
        "[{\"version\":1,\"tokens\":2}]", answers.at("/2/meta_info/weight_versions").toString());
    JsonNode single = ok("{\"input_ids\": [[5, 6]], \"rid\": [\"own\"]}");
    assertEquals("own", single.at("/0/meta_info/id").asText(), "a batch of one is a list");
    JsonNode choices = ok("{\"text\": \"x\", \"sampling_params\": {\"n\": 2}}");
    assertEquals(2, choices.size());
  }

  /** Each part has all that there is so far. */
  @Test
  void stream_isCumulative() throws Exception {
    String body = "{\"text\": \"x\", \"stream\": true, \"return_logprob\": true";
    Events events = Events.parse(ask(body + "}").body());
    assertTrue(events.done());
    String before = "";
    for (JsonNode part : events.chunks()) {
      assertTrue(part.path("text").asText().startsWith(before));
      before = part.path("text").asText();
      assertEquals(
          part.path("output_ids").size(),
          part.at("/meta_info/output_token_logprobs").size(),
          part.toString());
    }
    JsonNode last = events.chunks().getLast();
    assertEquals("ab-cd", before);
    assertEquals(said("ab-cd<|im_end|>"), ints(last.path("output_ids")));
    assertEquals("stop", last.at("/meta_info/finish_reason/type").asText());
    assertTrue(events.chunks().getFirst().at("/meta_info/finish_reason").isNull());
    Events fewer =
        Events.parse(ask(body + ", \"sampling_params\": {\"stream_interval\": 4}}").body());
    assertTrue(fewer.chunks().size() < events.chunks().size());
    assertEquals(last.path("output_ids"), fewer.chunks().getLast().path("output_ids"));
    Events both =
        Events.parse(
            ask("{\"text\": [\"x\", \"y\"], \"stream\": true, \"sampling_params\": {\"n\": 2}}")
                .body());
    assertEquals(
        List.of(0, 1, 2, 3),
        both.chunks().stream()
            .filter(part -> !part.at("/meta_info/finish_reason").isNull())
            .map(part -> part.path("index").asInt(-1))
            .sorted()
            .toList());
  }

  @Test
  void forms_andForcedTokens() throws Exception {
    JsonNode digits =
        ok(
            "{\"text\": \"x\", \"sampling_params\": {\"regex\": \"[0-9]b\"}, \"return_forced_tokens\": true}");
    assertTrue(digits.path("text").asText().matches("[0-9]b"), digits.toString());
    assertEquals(List.of(1, 2), ints(digits.at("/meta_info/forced_tokens")));
    JsonNode schema =
        ok("{\"text\": \"x\", \"sampling_params\": {\"json_schema\": \"{\\\"const\\\": 7}\"}}");
    assertEquals("7", schema.path("text").asText().strip());
  }

  @Test
  void abort_byTheBatchsName_endsAllOfIt() throws Exception {
    server.stepMillis(5);
    try {
      var pending =
          server.client.sendAsync(
              HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + http.port() + "/generate"))
                  .header("content-type", "application/json")
                  .POST(
                      HttpRequest.BodyPublishers.ofString(
                          "{\"text\": [\"x\", \"y\"], \"rid\": \"gone\", \"sampling_params\":"
                              + " {\"max_new_tokens\": 3000, \"ignore_eos\": true}}"))
                  .build(),
              HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
      TestServer.await("both run", () -> server.engine.stats().running() == 2);
      assertTrue(server.api.abort("gone"));
      JsonNode answers = Json.MAPPER.readTree(pending.get().body());
      assertEquals("abort", answers.at("/0/meta_info/finish_reason/type").asText());
      assertEquals("abort", answers.at("/1/meta_info/finish_reason/type").asText());
    } finally {
      server.stepMillis(0);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{} | text | either text or input_ids",
        "{\"text\": \"a\", \"input_ids\": [1]} | text | either text or input_ids",
        "{\"text\": 3} | text | must be a string",
        "{\"text\": []} | text | must not be empty",
        "{\"text\": [\"a\", 3]} | text[1] | must be a string",
        "{\"input_ids\": [[1], []]} | input_ids[1] | one or more ids",
        "{\"input_ids\": [1, 99999]} | input_ids | outside the vocabulary",
        "{\"text\": \"a\", \"sampling_params\": {\"max_new_tokens\": -1}} | sampling_params.max_new_tokens | sampling_params.max_new_tokens must be",
        "{\"text\": \"a\", \"sampling_params\": {\"max_new_tokens\": 0}} | sampling_params.max_new_tokens | return_logprob",
        "{\"text\": \"a\", \"sampling_params\": {\"max_new_tokens\": 5000}} | sampling_params.max_new_tokens | sampling_params.max_new_tokens is too large",
        "{\"text\": \"a\", \"sampling_params\": {\"top_p\": 2}} | sampling_params.top_p | sampling_params.top_p must",
        "{\"text\": \"a\", \"sampling_params\": {\"n\": 129}} | sampling_params.n | sampling_params.n must be",
        "{\"text\": [\"a\", \"b\"], \"sampling_params\": [{}, {\"top_k\": \"x\"}]} | sampling_params[1].top_k | an integer",
        "{\"text\": [\"a\", \"b\"], \"sampling_params\": [{}]} | sampling_params | one entry a prompt",
        "{\"text\": [\"a\", \"b\"], \"sampling_params\": {\"n\": 65}} | text | 130 answers",
        "{\"text\": \"a\", \"sampling_params\": {\"regex\": \"(\"}} | sampling_params.regex | sampling_params.regex",
        "{\"text\": \"a\", \"sampling_params\": {\"ebnf\": \"x\"}} | sampling_params.ebnf | not supported",
        "{\"text\": \"a\", \"sampling_params\": {\"stop_token_ids\": [\"x\"]}} | sampling_params.stop_token_ids[0] | an integer",
        "{\"text\": \"a\", \"lora_path\": \"x\"} | lora_path | not supported",
        "{\"text\": \"a\", \"rid\": \"a b\"} | rid | 1 to 128 letters",
        "{\"text\": [\"a\", \"b\"], \"rid\": [\"r\", \"r\"]} | rid[1] | twice",
        "{\"text\": \"a\", \"return_logprob\": 1} | return_logprob | a boolean",
        "{\"text\": \"a\", \"return_logprob\": true, \"logprob_start_len\": 2} | logprob_start_len | beyond the prompt",
        "{\"text\": \"a\", \"logprobs_mode\": \"x\"} | logprobs_mode | raw_logprobs",
      })
  void faults_areNamedAsTheClientHasThem(String body, String param, String says) throws Exception {
    HttpResponse<String> response = ask(body);
    assertEquals(400, response.statusCode(), response.body());
    JsonNode error = Json.MAPPER.readTree(response.body());
    assertEquals(param, error.path("param").asText(), response.body());
    assertTrue(error.path("message").asText().contains(says), response.body());
    assertNotEquals("", error.path("message").asText());
  }
}
