import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.AuthenticationException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * LangChain4j's OpenAI models against a running server, whatever its model says. It has no n and no
 * log-probs of its own.
 *
 * <p>{@code ./mvnw -q -f docs/clients/java/pom.xml compile exec:java -Dexec.mainClass=LangChain4j
 * -Dexec.args="http://127.0.0.1:8000/v1 MODEL KEY"}
 */
public final class LangChain4j {
  private final String url;
  private final String model;
  private final String key;

  private LangChain4j(String url, String model, String key) {
    this.url = url;
    this.model = model;
    this.key = key;
  }

  public static void main(String[] args) throws Exception {
    LangChain4j tests = new LangChain4j(args[0], args[1], args.length > 2 ? args[2] : "none");
    tests.chatAndUsage();
    tests.stream();
    tests.cancel();
    tests.tools();
    tests.jsonSchema();
    tests.errors(args.length > 2);
    System.out.println("ok langchain4j-open-ai");
  }

  private OpenAiChatModel.OpenAiChatModelBuilder chat() {
    return OpenAiChatModel.builder()
        .baseUrl(url)
        .apiKey(key)
        .modelName(model)
        .temperature(0.0)
        .maxCompletionTokens(200)
        .maxRetries(0);
  }

  private OpenAiStreamingChatModel streaming(int maxTokens) {
    return OpenAiStreamingChatModel.builder()
        .baseUrl(url)
        .apiKey(key)
        .modelName(model)
        .temperature(0.0)
        .maxCompletionTokens(maxTokens)
        .returnThinking(true)
        .build();
  }

  private static ChatRequest.Builder ask(String text) {
    return ChatRequest.builder().messages(UserMessage.from(text));
  }

  private void chatAndUsage() {
    ChatResponse answer = chat().build().chat(ask("What is 12 + 30?").build());
    check(!answer.aiMessage().text().isEmpty(), "text");
    check(answer.tokenUsage().outputTokenCount() > 0, "usage");
  }

  private void stream() throws Exception {
    ChatResponse whole = chat().build().chat(ask("What is 2 + 3?").build());
    CompletableFuture<ChatResponse> done = new CompletableFuture<>();
    StringBuilder parts = new StringBuilder();
    streaming(200)
        .chat(
            ask("What is 2 + 3?").build(),
            new StreamingChatResponseHandler() {
              @Override
              public void onPartialResponse(String part) {
                parts.append(part);
              }

              @Override
              public void onCompleteResponse(ChatResponse response) {
                done.complete(response);
              }

              @Override
              public void onError(Throwable error) {
                done.completeExceptionally(error);
              }
            });
    ChatResponse streamed = done.get(60, TimeUnit.SECONDS);
    check(parts.toString().equals(whole.aiMessage().text()), "a stream says what the answer says");
    check(
        streamed.tokenUsage().outputTokenCount().equals(whole.tokenUsage().outputTokenCount()),
        "usage of a stream");
  }

  private void cancel() throws Exception {
    CompletableFuture<Integer> cancelled = new CompletableFuture<>();
    streaming(4000)
        .chat(
            ask("What is 123 + 456?").build(),
            new StreamingChatResponseHandler() {
              private int parts;

              @Override
              public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
                if (++parts == 2) {
                  context.streamingHandle().cancel();
                  cancelled.complete(parts);
                }
              }

              @Override
              public void onCompleteResponse(ChatResponse response) {
                cancelled.complete(parts);
              }

              @Override
              public void onError(Throwable error) {
                cancelled.completeExceptionally(error);
              }
            });
    cancelled.get(60, TimeUnit.SECONDS);
  }

  private void tools() {
    ToolSpecification add =
        ToolSpecification.builder()
            .name("add")
            .parameters(
                JsonObjectSchema.builder()
                    .addIntegerProperty("a")
                    .required("a")
                    .additionalProperties(false)
                    .build())
            .build();
    ChatRequest request =
        ask("Add 1 and 2.").toolSpecifications(add).toolChoice(ToolChoice.REQUIRED).build();
    ChatResponse answer =
        chat().parallelToolCalls(false).build().chat(request);
    AiMessage message = answer.aiMessage();
    check(message.hasToolExecutionRequests(), "a call");
    check(answer.finishReason() == FinishReason.TOOL_EXECUTION, "the finish reason");
    check(message.toolExecutionRequests().getFirst().name().equals("add"), "the function's name");
    ToolExecutionResultMessage result =
        ToolExecutionResultMessage.from(message.toolExecutionRequests().getFirst(), "3");
    ChatResponse next =
        chat()
            .build()
            .chat(
                ChatRequest.builder()
                    .messages(List.of(UserMessage.from("Add 1 and 2."), message, result))
                    .toolSpecifications(add)
                    .build());
    check(next.aiMessage() != null, "an answer after the tool's");
  }

  private void jsonSchema() {
    JsonSchema schema =
        JsonSchema.builder()
            .name("sum")
            .rootElement(
                JsonObjectSchema.builder()
                    .addIntegerProperty("sum")
                    .required("sum")
                    .additionalProperties(false)
                    .build())
            .build();
    ChatResponse answer =
        chat()
            .strictJsonSchema(true)
            .build()
            .chat(
                ask("12 + 30?")
                    .responseFormat(
                        ResponseFormat.builder()
                            .type(ResponseFormatType.JSON)
                            .jsonSchema(schema)
                            .build())
                    .build());
    String json = answer.aiMessage().text();
    check(json.matches("(?s)\\s*\\{\\s*\"sum\"\\s*:\\s*-?\\d+\\s*}\\s*"), "by its schema, not " + json);
  }

  private void errors(boolean guarded) {
    fails(InvalidRequestException.class, () -> chat().temperature(-1.0).build().chat("hi"));
    if (guarded) {
      fails(AuthenticationException.class, () -> chat().apiKey("wrong").build().chat("hi"));
    }
  }

  private static void fails(Class<? extends Exception> expected, Runnable action) {
    try {
      action.run();
    } catch (Exception e) {
      check(expected.isInstance(e), "expected " + expected.getSimpleName() + ", not " + e);
      return;
    }
    throw new AssertionError("expected " + expected.getSimpleName());
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError("FAILED " + what);
    }
  }
}
