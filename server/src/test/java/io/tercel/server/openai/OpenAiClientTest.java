package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.InternalServerException;
import com.openai.errors.NotFoundException;
import com.openai.errors.OpenAIServiceException;
import com.openai.errors.RateLimitException;
import com.openai.errors.SseException;
import com.openai.errors.UnauthorizedException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.models.Model;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.testing.TestServer;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** OpenAI's own Java client against a real socket. */
class OpenAiClientTest {
  private TestServer server;
  private OpenAIClient client;

  @BeforeEach
  void start() throws Exception {
    server = new TestServer(TestServer.USUAL.withKey("sk-test"));
    client = client("sk-test");
  }

  @AfterEach
  void stop() throws Exception {
    client.close();
    server.awaitIdle();
    server.close();
  }

  private OpenAIClient client(String key) {
    return OpenAIOkHttpClient.builder().baseUrl(server.baseUrl()).apiKey(key).maxRetries(0).build();
  }

  private static ChatCompletionCreateParams.Builder hi() {
    return ChatCompletionCreateParams.builder().model(TestServer.MODEL).addUserMessage("hi");
  }

  @Test
  void chat() {
    ChatCompletion answer =
        client.chat().completions().create(hi().addSystemMessage("be brief").seed(7).build());
    answer.validate();
    ChatCompletion.Choice choice = answer.choices().getFirst();
    assertEquals("Hé 😀, ok!", choice.message().content().orElseThrow());
    assertEquals(ChatCompletion.Choice.FinishReason.STOP, choice.finishReason());
    var more = choice.message()._additionalProperties();
    assertEquals(
        "I ponder.",
        Objects.requireNonNull(more.get("reasoning_content")).asString().orElseThrow());
    var usage = answer.usage().orElseThrow();
    assertEquals(25, usage.completionTokens());
    assertEquals(9, usage.completionTokensDetails().orElseThrow().reasoningTokens().orElseThrow());
    assertEquals(0, usage.promptTokensDetails().orElseThrow().cachedTokens().orElseThrow());
    assertEquals("fp_test", answer.systemFingerprint().orElseThrow());
  }

  @Test
  void stream_withUsage() {
    ChatCompletionAccumulator all = ChatCompletionAccumulator.create();
    ChatCompletionCreateParams params =
        hi().streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build())
            .n(3)
            .build();
    long usages;
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(params)) {
      usages =
          stream.stream()
              .peek(ChatCompletionChunk::validate)
              .peek(all::accumulate)
              .filter(chunk -> chunk.usage().isPresent())
              .count();
    }
    assertEquals(1, usages);
    ChatCompletion whole = all.chatCompletion();
    assertEquals(3, whole.choices().size());
    for (ChatCompletion.Choice choice : whole.choices()) {
      assertEquals("Hé 😀, ok!", choice.message().content().orElseThrow());
    }
    assertEquals(75, whole.usage().orElseThrow().completionTokens());
  }

  @Test
  void choicesAndLogprobs() {
    ChatCompletion answer =
        client.chat().completions().create(hi().n(3).logprobs(true).topLogprobs(2).build());
    answer.validate();
    assertEquals(List.of(0L, 1L, 2L), answer.choices().stream().map(c -> c.index()).toList());
    var content = answer.choices().get(2).logprobs().orElseThrow().content().orElseThrow();
    assertEquals(25, content.size());
    assertEquals("I", content.get(1).token());
    assertEquals(2, content.get(1).topLogprobs().size());
    assertEquals(List.of(73L), content.get(1).bytes().orElseThrow());
  }

  @Test
  void abort_cancelsTheSequence() throws Exception {
    server.says("x");
    server.backend.stepMillis = 5;
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(hi().build())) {
      Iterator<ChatCompletionChunk> chunks = stream.stream().iterator();
      for (int i = 0; i < 5; i++) {
        chunks.next().validate();
      }
    }
    TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
    TestServer.await("and counted", () -> server.engine.stats().running() == 0);
  }

  @Test
  void legacyCompletions() {
    server.says(" upon a time<|im_end|>");
    CompletionCreateParams params =
        CompletionCreateParams.builder()
            .model(TestServer.MODEL)
            .prompt("Once")
            .n(2)
            .logprobs(1)
            .maxTokens(20)
            .build();
    Completion answer = client.completions().create(params);
    answer.validate();
    assertEquals(" upon a time", answer.choices().get(1).text());
    assertEquals(
        13, answer.choices().get(1).logprobs().orElseThrow().tokens().orElseThrow().size());
    StringBuilder text = new StringBuilder();
    try (StreamResponse<Completion> stream = client.completions().createStreaming(params)) {
      stream.stream()
          .forEach(
              part ->
                  part.choices().stream()
                      .filter(c -> c.index() == 1)
                      .forEach(c -> text.append(c.text())));
    }
    assertEquals(" upon a time", text.toString());
  }

  @Test
  void models() {
    List<Model> models = client.models().list().items();
    assertEquals(List.of(TestServer.MODEL, "alias"), models.stream().map(Model::id).toList());
    Model one = client.models().retrieve(TestServer.MODEL); // its slash is sent as %2F
    one.validate();
    assertEquals(1_700_000_000, one.created());
  }

  private OpenAIServiceException refused(
      Class<? extends OpenAIServiceException> type, ChatCompletionCreateParams.Builder params) {
    return assertThrows(type, () -> client.chat().completions().create(params.build()));
  }

  @Test
  void errors_areOfTheirClasses() throws Exception {
    OpenAIServiceException e = refused(BadRequestException.class, hi().temperature(-1));
    assertEquals("temperature", e.param().orElseThrow());
    assertEquals("invalid_request_error", e.type().orElseThrow());
    assertTrue(String.valueOf(e.getMessage()).contains("temperature must be at least 0"));
    e = refused(BadRequestException.class, hi().addUserMessage("x".repeat(5000)));
    assertEquals("context_length_exceeded", e.code().orElseThrow());
    e = refused(NotFoundException.class, hi().model("gpt-5"));
    assertEquals("model_not_found", e.code().orElseThrow());
    assertThrows(NotFoundException.class, () -> client.models().retrieve("none"));
    OpenAIClient stranger = client("sk-wrong");
    var wrong = assertThrows(UnauthorizedException.class, () -> stranger.models().list());
    assertEquals("invalid_api_key", wrong.code().orElseThrow());
    stranger.close();
    server.backend.failure = "broken";
    refused(InternalServerException.class, hi());
    server.backend.failure = null;
    server.http.drain();
    e = refused(InternalServerException.class, hi());
    assertEquals(503, e.statusCode());
  }

  @Test
  void tooMany_is429() throws Exception {
    client.close();
    server.close();
    server = new TestServer(TestServer.USUAL.withRoom(1, 16, 2));
    client = client("any");
    server.engine.pause().get();
    for (int i = 0; i < 2; i++) {
      server.engine.submit(new GenerationRequest("w" + i, new int[] {1}, SamplingParams.greedy(1)));
    }
    assertFalse(
        refused(RateLimitException.class, hi().n(1)).headers().values("retry-after").isEmpty());
    server.engine.resume();
  }

  @Test
  void errorMidStream_endsTheStream() {
    server.backend.failure = "broken";
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(hi().build())) {
      assertThrows(SseException.class, () -> stream.stream().forEach(c -> {}));
    }
  }
}
