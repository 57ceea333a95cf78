package io.tercel.server.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.tercel.proto.v1.Delta;
import io.tercel.proto.v1.ErrorDetail;
import io.tercel.proto.v1.FinishReason;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.Phase;
import io.tercel.proto.v1.Token;
import io.tercel.proto.v1.TokenIds;
import io.tercel.server.grpc.GrpcTestServer.Answer;
import io.tercel.server.testing.TestServer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Inference.Generate against what HTTP answers. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class GenerateTest {
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

  @Test
  void textPrompt_streamsStartedDeltasEndAndUsage() {
    Answer answer =
        server.generate(
            r -> r.setMaxTokens(100).setModel(GrpcTestServer.MODEL).setRequestId("r-1"));
    assertTrue(answer.messages().getFirst().hasStarted());
    assertEquals("r-1", answer.messages().getFirst().getStarted().getRequestId());
    assertEquals(GrpcTestServer.MODEL, answer.messages().getFirst().getStarted().getModel());
    assertEquals("fp_test", answer.messages().getFirst().getStarted().getSystemFingerprint());
    assertEquals(4, answer.messages().getFirst().getStarted().getPromptTokens());
    assertEquals("I ponder.", answer.text(0, Phase.PHASE_THINKING));
    assertEquals("Hé 😀, ok!", answer.text(0, Phase.PHASE_ANSWER));
    assertTrue(answer.deltas(0).size() > 10, "it streams: " + answer.deltas(0).size());
    assertEquals(FinishReason.FINISH_REASON_STOP, answer.end(0).getFinishReason());
    assertFalse(answer.end(0).hasStop() || answer.end(0).hasStopTokenId());
    assertEquals(4, answer.usage().getPromptTokens());
    assertEquals(answer.tokens(0).size(), answer.usage().getCompletionTokens());
    assertEquals(9, answer.usage().getReasoningTokens());
    for (Token token : answer.tokens(0)) {
      assertEquals(1, token.getWeightVersion());
      assertFalse(token.hasLogprob());
      assertFalse(token.getForced());
    }
  }

  @Test
  void truncation_andLogprobsMode_areTheSameFields() {
    Answer answer =
        server.generate(
            r -> r.setText("abcdef").setTruncatePromptTokens(2).setLogprobsMode("raw").setN(1));
    assertEquals(2, answer.usage().getPromptTokens());
    for (Consumer<GenerateRequest.Builder> wrong :
        List.<Consumer<GenerateRequest.Builder>>of(
            r -> r.setText("a").setTruncatePromptTokens(0),
            r -> r.setText("a").setLogprobsMode("processed_logits"))) {
      StatusRuntimeException e =
          assertThrows(StatusRuntimeException.class, () -> server.generate(wrong));
      assertEquals(Status.Code.INVALID_ARGUMENT, e.getStatus().getCode());
    }
  }

  /** The prompt of a chat, given as ids, is answered as the chat is. */
  @Test
  void tokenIds_sameAnswerAsChat() throws Exception {
    JsonNode chat =
        JSON.readTree(
            server
                .http
                .post(
                    "/v1/chat/completions",
                    """
                    {"messages": [{"role": "user", "content": "hi"}], "n": 3, "seed": 7,
                     "max_tokens": 60, "return_token_ids": true, "logprobs": true, "top_logprobs": 2}
                    """)
                .body());
    TokenIds.Builder prompt = TokenIds.newBuilder();
    chat.get("prompt_token_ids").forEach(id -> prompt.addIds(id.intValue()));
    Answer answer =
        server.generate(
            r -> r.setTokenIds(prompt).setN(3).setSeed(7).setMaxTokens(60).setLogprobs(2));
    for (int i = 0; i < 3; i++) {
      JsonNode choice = chat.get("choices").get(i);
      assertEquals(
          choice.get("message").get("reasoning_content").textValue(),
          answer.text(i, Phase.PHASE_THINKING));
      assertEquals(
          choice.get("message").get("content").textValue(), answer.text(i, Phase.PHASE_ANSWER));
      List<Integer> ids = new ArrayList<>();
      choice.get("token_ids").forEach(id -> ids.add(id.intValue()));
      assertEquals(ids, answer.ids(i));
      JsonNode scores = choice.get("logprobs").get("content");
      for (int t = 0; t < ids.size(); t++) {
        Token token = answer.tokens(i).get(t);
        assertEquals(scores.get(t).get("logprob").floatValue(), token.getLogprob());
        assertEquals(2, token.getTopCount());
        for (int k = 0; k < 2; k++) {
          assertEquals(
              scores.get(t).get("top_logprobs").get(k).get("logprob").floatValue(),
              token.getTop(k).getLogprob());
        }
      }
    }
    JsonNode usage = chat.get("usage");
    assertEquals(usage.get("prompt_tokens").intValue(), answer.usage().getPromptTokens());
    assertEquals(usage.get("completion_tokens").intValue(), answer.usage().getCompletionTokens());
    assertEquals(
        usage.get("completion_tokens_details").get("reasoning_tokens").intValue(),
        answer.usage().getReasoningTokens());
  }

  @Test
  void tokens_haveTheirPhase_markersBelongToTheThought() {
    Answer answer = server.generate(r -> r.setMaxTokens(100));
    List<Integer> thinking = new ArrayList<>();
    for (Delta delta : answer.deltas(0)) {
      if (delta.getPhase() == Phase.PHASE_THINKING) {
        delta.getTokensList().forEach(token -> thinking.add(token.getId()));
      }
    }
    assertEquals("<think>I ponder.</think>".replaceAll("</?think>", "#").length(), thinking.size());
    assertEquals(thinking, answer.ids(0).subList(0, thinking.size()), "order is kept");
  }

  @Test
  void withoutText_eachTokenComesAlone() {
    Answer answer = server.generate(r -> r.setMaxTokens(100).setReturnText(false));
    Answer texts = server.generate(r -> r.setMaxTokens(100));
    assertEquals(texts.ids(0), answer.ids(0));
    for (Delta delta : answer.deltas(0)) {
      assertEquals("", delta.getText());
      assertEquals(1, delta.getTokensCount());
    }
  }

  @Test
  void stopString_endsAndIsNamed() {
    Answer answer = server.generate(r -> r.setMaxTokens(100).addStop("nope").addStop(", o"));
    assertEquals("Hé 😀", answer.text(0, Phase.PHASE_ANSWER));
    assertEquals(", o", answer.end(0).getStop());
  }

  @Test
  void stopTokenId_endsAndIsNamed() {
    Answer answer = server.generate(r -> r.setMaxTokens(100).addStopTokenIds('.'));
    assertEquals("I ponder", answer.text(0, Phase.PHASE_THINKING));
    assertEquals('.', answer.end(0).getStopTokenId());
  }

  @Test
  void promptThatEndsInsideAThought_howeverFarBack() throws Exception {
    try (GrpcTestServer other =
        new GrpcTestServer(TestServer.USUAL.saying(" so it is.</think>yes<|im_end|>"))) {
      String prompt = "q <think>\nSo far, and a good many tokens further,";
      Answer answer =
          other.generate(
              r ->
                  r.setText(prompt)
                      .setMaxTokens(40)
                      .setStructuredOutputs("{\"choice\": [\"yes\", \"no\"]}"));
      assertEquals(" so it is.", answer.text(0, Phase.PHASE_THINKING));
      assertEquals("yes", answer.text(0, Phase.PHASE_ANSWER));
      assertEquals(10, answer.usage().getReasoningTokens());
      Answer bounded =
          other.generate(r -> r.setText(prompt).setMaxTokens(40).setThinkingTokenBudget(3));
      assertEquals(" so", bounded.text(0, Phase.PHASE_THINKING));
    }
  }

  @Test
  void maxTokens_endsByLength_andThinkingBudgetForcesTheAnswer() {
    Answer answer = server.generate(r -> r.setMaxTokens(3));
    assertEquals(FinishReason.FINISH_REASON_LENGTH, answer.end(0).getFinishReason());
    assertEquals(3, answer.ids(0).size());
    Answer budget = server.generate(r -> r.setMaxTokens(40).setThinkingTokenBudget(2));
    assertEquals("I ", budget.text(0, Phase.PHASE_THINKING));
    assertTrue(budget.tokens(0).stream().anyMatch(Token::getForced));
  }

  @Test
  void promptLogprobs_comeFirst() {
    Answer answer = server.generate(r -> r.setPromptLogprobs(2));
    assertTrue(answer.messages().get(1).hasPromptScores());
    List<Token> scores = answer.messages().get(1).getPromptScores().getTokensList();
    assertEquals(
        List.of((int) 'n', (int) 'c', (int) 'e'), scores.stream().map(Token::getId).toList());
    assertEquals(-0.5f, scores.getFirst().getLogprob());
    assertEquals(-9999f, scores.getFirst().getTop(1).getLogprob(), "minus infinity");
  }

  @Test
  void structuredOutputs_bindTheAnswerAndLeaveTheThoughtFree() throws Exception {
    Consumer<GenerateRequest.Builder> asked =
        r -> r.setMaxTokens(100).setStructuredOutputs("{\"choice\": [\"yes\", \"no\"]}");
    try (GrpcTestServer other =
        new GrpcTestServer(TestServer.USUAL.saying("<think>hm</think>yes<|im_end|>"))) {
      Answer answer = other.generate(asked);
      assertEquals("hm", answer.text(0, Phase.PHASE_THINKING));
      assertEquals("yes", answer.text(0, Phase.PHASE_ANSWER));
      other.http.says("maybe<|im_end|>"); // the script yields to the mask
      String forced = other.generate(asked).text(0, Phase.PHASE_ANSWER);
      assertTrue(List.of("yes", "no").contains(forced), forced);
      other.awaitIdle();
    }
  }

  static Arguments bad(String field, Consumer<GenerateRequest.Builder> change) {
    return Arguments.of(field, change);
  }

  static List<Arguments> badFields() {
    return List.of(
        bad("top_p", r -> r.setTopP(0)),
        bad("top_p", r -> r.setTopP(1.5f)),
        bad("top_p", r -> r.setTopP(Float.NaN)),
        bad("temperature", r -> r.setTemperature(-1)),
        bad("temperature", r -> r.setTemperature(Float.POSITIVE_INFINITY)),
        bad("min_p", r -> r.setMinP(2)),
        bad("top_k", r -> r.setTopK(-2)),
        bad("n", r -> r.setN(0)),
        bad("n", r -> r.setN(100_000)),
        bad("max_tokens", r -> r.setMaxTokens(0)),
        bad("max_tokens", r -> r.setMaxTokens(1_000_000)),
        bad("min_tokens", r -> r.setMinTokens(-1)),
        bad("presence_penalty", r -> r.setPresencePenalty(3)),
        bad("frequency_penalty", r -> r.setFrequencyPenalty(-3)),
        bad("repetition_penalty", r -> r.setRepetitionPenalty(0)),
        bad("logit_bias", r -> r.putLogitBias(-1, 1)),
        bad("logit_bias.65", r -> r.putLogitBias(65, 1000)),
        bad("logprobs", r -> r.setLogprobs(21)),
        bad("prompt_logprobs", r -> r.setPromptLogprobs(-1)),
        bad("stop", r -> r.addStop("")),
        bad("stop_token_ids[1]", r -> r.addStopTokenIds(1).addStopTokenIds(-1)),
        bad("thinking_token_budget", r -> r.setThinkingTokenBudget(-2)),
        bad("structured_outputs", r -> r.setStructuredOutputs("")),
        bad("structured_outputs", r -> r.setStructuredOutputs("{\"choice\": [")),
        bad("structured_outputs", r -> r.setStructuredOutputs("{}")),
        bad("structured_outputs.choice", r -> r.setStructuredOutputs("{\"choice\": []}")),
        bad("structured_outputs.grammar", r -> r.setStructuredOutputs("{\"grammar\": \"x\"}")),
        bad("request_id", r -> r.setRequestId("no blanks")),
        bad("prompt", GenerateRequest.Builder::clearPrompt),
        bad("prompt", r -> r.setText("")),
        bad("prompt", r -> r.setTokenIds(TokenIds.getDefaultInstance())),
        bad("prompt[1]", r -> r.setTokenIds(TokenIds.newBuilder().addIds(1).addIds(-1))),
        bad("prompt", r -> r.setTokenIds(TokenIds.newBuilder().addIds(1).addIds(1 << 20))),
        bad("prompt", r -> r.setText("x".repeat(5000))));
  }

  @ParameterizedTest
  @MethodSource("badFields")
  void badField_isNamed(String field, Consumer<GenerateRequest.Builder> change) throws Exception {
    StatusRuntimeException e = server.refused(Status.Code.INVALID_ARGUMENT, change);
    String name = field.replaceAll("[.\\[].*", "");
    assertTrue(String.valueOf(e.getStatus().getDescription()).contains(name), e.getMessage());
    var status = StatusProto.fromThrowable(e);
    String violated = "";
    ErrorDetail error = ErrorDetail.getDefaultInstance();
    for (Any detail : status.getDetailsList()) {
      if (detail.is(BadRequest.class)) {
        violated = detail.unpack(BadRequest.class).getFieldViolations(0).getField();
      } else if (detail.is(ErrorDetail.class)) {
        error = detail.unpack(ErrorDetail.class);
      }
    }
    assertEquals(field, violated);
    assertEquals(400, error.getHttpStatus());
    JsonNode body = JSON.readTree(error.getJson().toByteArray()).get("error");
    assertEquals(field, body.get("param").textValue());
    assertTrue(
        String.valueOf(e.getStatus().getDescription()).endsWith(body.get("message").textValue()));
  }

  @Test
  void unknownModel_notFound() {
    StatusRuntimeException e = server.refused(Status.Code.NOT_FOUND, r -> r.setModel("gpt"));
    assertTrue(String.valueOf(e.getStatus().getDescription()).contains("gpt"));
  }

  /** The parser's own names are nobody's business, and a NaN is no number to compare with. */
  @Test
  void faults_sayWhereAndWhat() {
    StatusRuntimeException e =
        server.refused(
            Status.Code.INVALID_ARGUMENT,
            r -> r.setStructuredOutputs("{\"choice\": [\"a\" \"b\"]}"));
    assertEquals(
        "INVALID_ARGUMENT: structured_outputs is not valid JSON: unexpected '\"' where a comma or the"
            + " end is due at line 1, column 17",
        e.getMessage());
    e = server.refused(Status.Code.INVALID_ARGUMENT, r -> r.setTemperature(Float.NaN));
    assertEquals("INVALID_ARGUMENT: temperature must be a number, not NaN", e.getMessage());
    e = server.refused(Status.Code.INVALID_ARGUMENT, r -> r.setTopP(Float.NaN));
    assertEquals("INVALID_ARGUMENT: top_p must be between 0 and 1, not NaN", e.getMessage());
    e =
        server.refused(
            Status.Code.INVALID_ARGUMENT, r -> r.setTemperature(Float.POSITIVE_INFINITY));
    assertEquals(
        "INVALID_ARGUMENT: temperature must be at most 3.4028235E38, not a larger number",
        e.getMessage());
  }

  /** The usage names the weights that made the last token, each token its own. */
  @Test
  void newWeightsInTheMiddle_areNamed() throws Exception {
    try (GrpcTestServer fresh = GrpcTestServer.start()) {
      fresh.http.says("x".repeat(400));
      fresh.http.stepMillis(2);
      Thread change =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      TestServer.await(
                          "tokens",
                          () -> fresh.http.engine.stats().work().generationTokens() >= 20);
                    } catch (InterruptedException e) {
                      throw new IllegalStateException(e);
                    }
                    fresh.http.backend.weightVersion = 2;
                  });
      Answer answer = fresh.generate(r -> r.setMaxTokens(200));
      assertFalse(change.isAlive());
      assertEquals("fp_test", answer.messages().getFirst().getStarted().getSystemFingerprint());
      assertEquals("fp_test-w2", answer.usage().getSystemFingerprint());
      List<Long> versions = answer.tokens(0).stream().map(Token::getWeightVersion).toList();
      assertEquals(List.of(1L, 2L), versions.stream().distinct().toList());
      assertTrue(versions.indexOf(2L) >= 20, versions.toString());
    }
  }
}
