package io.tercel.server.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.ErrorDetail;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Inference.ChatCompletions says what HTTP says, to the byte. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ChatCompletionsTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private GrpcTestServer server;

  @BeforeAll
  void start() throws Exception {
    server = GrpcTestServer.start();
  }

  @AfterAll
  void stop() throws Exception {
    server.awaitIdle();
    server.close();
  }

  private List<JsonNode> chat(String json) throws IOException {
    List<JsonNode> all = new ArrayList<>();
    var answers =
        server
            .inference()
            .chatCompletions(
                ChatCompletionsRequest.newBuilder().setJson(ByteString.copyFromUtf8(json)).build());
    while (answers.hasNext()) {
      all.add(JSON.readTree(answers.next().getJson().toByteArray()));
    }
    return all;
  }

  private static String body(String fields) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"seed\": 1" + fields + "}";
  }

  /** What differs from one answer to the next. */
  private static JsonNode withoutIdentity(JsonNode node) {
    return ((ObjectNode) node).without(List.of("id", "created"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ", \"n\": 3, \"logprobs\": true, \"top_logprobs\": 3",
        ", \"return_token_ids\": true, \"max_tokens\": 7",
        ", \"prompt_logprobs\": 1, \"stop\": [\"ok\"]"
      })
  void whole_isHttps(String fields) throws Exception {
    JsonNode http = JSON.readTree(server.http.post("/v1/chat/completions", body(fields)).body());
    List<JsonNode> answers = chat(body(fields));
    assertEquals(1, answers.size());
    assertTrue(answers.getFirst().get("id").textValue().startsWith("chatcmpl-"));
    // the prefix cache knows the prompt the second time
    ((ObjectNode) http.get("usage")).remove("prompt_tokens_details");
    ((ObjectNode) answers.getFirst().get("usage")).remove("prompt_tokens_details");
    assertEquals(withoutIdentity(http), withoutIdentity(answers.getFirst()));
  }

  @Test
  void stream_isHttpsChunkByChunk() throws Exception {
    String body =
        body(", \"stream\": true, \"n\": 1, \"stream_options\": {\"include_usage\": true}");
    List<JsonNode> http = new ArrayList<>();
    for (String line : server.http.post("/v1/chat/completions", body).body().split("\n")) {
      if (line.startsWith("data: {")) {
        http.add(JSON.readTree(line.substring(6)));
      }
    }
    List<JsonNode> chunks = chat(body);
    assertTrue(chunks.size() > 10);
    assertEquals(http.size(), chunks.size());
    for (int i = 0; i < http.size() - 1; i++) {
      assertEquals(withoutIdentity(http.get(i)), withoutIdentity(chunks.get(i)));
    }
    assertEquals(
        http.getLast().get("usage").get("completion_tokens"),
        chunks.getLast().get("usage").get("completion_tokens"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "no json",
        "[]",
        "{}",
        "{\"messages\": []}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"top_p\": 0}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"refuse me\"}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"model\": \"gpt\"}"
      })
  void error_carriesHttpsBody(String json) throws Exception {
    var http = server.http.post("/v1/chat/completions", json);
    StatusRuntimeException e = assertThrows(StatusRuntimeException.class, () -> chat(json));
    assertEquals(
        http.statusCode() == 404 ? Status.Code.NOT_FOUND : Status.Code.INVALID_ARGUMENT,
        e.getStatus().getCode());
    Any first = StatusProto.fromThrowable(e).getDetails(0);
    ErrorDetail detail = first.unpack(ErrorDetail.class);
    assertEquals(http.statusCode(), detail.getHttpStatus());
    assertEquals(JSON.readTree(http.body()), JSON.readTree(detail.getJson().toByteArray()));
  }
}
