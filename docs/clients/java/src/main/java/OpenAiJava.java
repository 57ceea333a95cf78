import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.UnauthorizedException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.ResponseFormatJsonSchema;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionFunctionTool;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionTool;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.responses.ResponseCreateParams;
import java.util.List;
import java.util.Map;

/**
 * OpenAI's own Java client against a running server, whatever its model says.
 *
 * <p>{@code ./mvnw -q -f docs/clients/java/pom.xml compile exec:java -Dexec.mainClass=OpenAiJava
 * -Dexec.args="http://127.0.0.1:8000/v1 KEY"}
 */
public final class OpenAiJava {
  private static final Map<String, Object> SCHEMA =
      Map.of(
          "type", "object",
          "properties", Map.of("sum", Map.of("type", "integer"), "even", Map.of("type", "boolean")),
          "required", List.of("sum", "even"),
          "additionalProperties", false);

  private final OpenAIClient client;
  private final String model;

  private OpenAiJava(OpenAIClient client) {
    this.client = client;
    this.model = client.models().list().data().getFirst().id();
  }

  public static void main(String[] args) {
    OpenAIOkHttpClient.Builder builder = OpenAIOkHttpClient.builder().baseUrl(args[0]);
    OpenAIClient client = builder.apiKey(args.length > 1 ? args[1] : "none").maxRetries(0).build();
    OpenAiJava tests = new OpenAiJava(client);
    tests.chat();
    tests.stream();
    tests.choicesAndLogprobs();
    tests.tools();
    tests.jsonSchema();
    tests.leavesAStream();
    tests.responses();
    tests.errors();
    if (args.length > 1) {
      OpenAIClient stranger = builder.apiKey(args[1] + "x").build();
      fails(UnauthorizedException.class, () -> stranger.models().list());
    }
    client.close();
    System.out.println("ok openai-java");
  }

  private ChatCompletionCreateParams.Builder ask(String text) {
    return ChatCompletionCreateParams.builder()
        .model(model)
        .addUserMessage(text)
        .temperature(0)
        .maxCompletionTokens(200);
  }

  private void chat() {
    ChatCompletion answer = client.chat().completions().create(ask("What is 12 + 30?").build());
    answer.validate();
    check(answer.usage().orElseThrow().completionTokens() > 0, "usage");
    check(answer.choices().getFirst().message().content().isPresent(), "content");
  }

  private void stream() {
    ChatCompletion whole = client.chat().completions().create(ask("What is 2 + 3?").build());
    ChatCompletionAccumulator all = ChatCompletionAccumulator.create();
    ChatCompletionStreamOptions usage =
        ChatCompletionStreamOptions.builder().includeUsage(true).build();
    try (StreamResponse<ChatCompletionChunk> stream =
        client
            .chat()
            .completions()
            .createStreaming(ask("What is 2 + 3?").streamOptions(usage).build())) {
      stream.stream().peek(ChatCompletionChunk::validate).forEach(all::accumulate);
    }
    ChatCompletion.Choice streamed = all.chatCompletion().choices().getFirst();
    check(
        streamed.message().content().equals(whole.choices().getFirst().message().content()),
        "a stream says what the whole answer says");
    check(
        all.chatCompletion().usage().orElseThrow().completionTokens()
            == whole.usage().orElseThrow().completionTokens(),
        "usage of a stream");
  }

  private void choicesAndLogprobs() {
    ChatCompletion answer =
        client
            .chat()
            .completions()
            .create(ask("hi").n(3).temperature(1).seed(7).logprobs(true).topLogprobs(2).build());
    answer.validate();
    check(answer.choices().size() == 3, "n = 3");
    long scored =
        answer.choices().stream()
            .mapToLong(c -> c.logprobs().orElseThrow().content().orElseThrow().size())
            .sum();
    check(scored == answer.usage().orElseThrow().completionTokens(), "a log-prob a token");
  }

  private static ChatCompletionTool add() {
    FunctionDefinition function =
        FunctionDefinition.builder()
            .name("add")
            .parameters(
                FunctionParameters.builder()
                    .putAdditionalProperty("type", JsonValue.from("object"))
                    .putAdditionalProperty(
                        "properties", JsonValue.from(Map.of("a", Map.of("type", "integer"))))
                    .putAdditionalProperty("required", JsonValue.from(List.of("a")))
                    .putAdditionalProperty("additionalProperties", JsonValue.from(false))
                    .build())
            .build();
    return ChatCompletionTool.ofFunction(
        ChatCompletionFunctionTool.builder().function(function).build());
  }

  private void tools() {
    ChatCompletionCreateParams params =
        ask("Add 1 and 2.")
            .addTool(add())
            .toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED)
            .parallelToolCalls(false)
            .build();
    ChatCompletion answer = client.chat().completions().create(params);
    answer.validate();
    ChatCompletion.Choice choice = answer.choices().getFirst();
    check(
        choice.finishReason().equals(ChatCompletion.Choice.FinishReason.TOOL_CALLS), "tool_calls");
    var call = choice.message().toolCalls().orElseThrow().getFirst().asFunction();
    check(call.function().name().equals("add"), "the function's name");
    ChatCompletionAccumulator all = ChatCompletionAccumulator.create();
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(params)) {
      stream.stream().forEach(all::accumulate);
    }
    var streamed = all.chatCompletion().choices().getFirst();
    check(
        streamed
            .message()
            .toolCalls()
            .orElseThrow()
            .getFirst()
            .asFunction()
            .function()
            .arguments()
            .equals(call.function().arguments()),
        "a streamed call has the same arguments");
    // what the tool said goes back
    ChatCompletion next =
        client
            .chat()
            .completions()
            .create(
                ask("Add 1 and 2.")
                    .addTool(add())
                    .addMessage(choice.message())
                    .addMessage(
                        com.openai.models.chat.completions.ChatCompletionToolMessageParam.builder()
                            .toolCallId(call.id())
                            .content("3")
                            .build())
                    .build());
    next.validate();
  }

  private void jsonSchema() {
    ResponseFormatJsonSchema.JsonSchema.Schema.Builder schema =
        ResponseFormatJsonSchema.JsonSchema.Schema.builder();
    SCHEMA.forEach((key, value) -> schema.putAdditionalProperty(key, JsonValue.from(value)));
    ChatCompletion answer =
        client
            .chat()
            .completions()
            .create(
                ask("12 + 30?")
                    .responseFormat(
                        ResponseFormatJsonSchema.builder()
                            .jsonSchema(
                                ResponseFormatJsonSchema.JsonSchema.builder()
                                    .name("sum")
                                    .strict(true)
                                    .schema(schema.build())
                                    .build())
                            .build())
                    .build());
    String json = answer.choices().getFirst().message().content().orElseThrow();
    String sum = "\\s*\"sum\"\\s*:\\s*-?\\d+\\s*";
    String even = "\\s*\"even\"\\s*:\\s*(true|false)\\s*";
    check( // in the order of SCHEMA, which is any
        json.matches("\\s*\\{(%s,%s|%s,%s)}\\s*".formatted(sum, even, even, sum)),
        "an answer by its schema, not " + json);
  }

  private void leavesAStream() {
    try (StreamResponse<ChatCompletionChunk> stream =
        client
            .chat()
            .completions()
            .createStreaming(
                ask("hi")
                    .maxCompletionTokens(4000)
                    .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
                    .build())) {
      check(stream.stream().limit(3).count() == 3, "three chunks, then gone");
    }
  }

  private void responses() {
    var response =
        client
            .responses()
            .create(ResponseCreateParams.builder().model(model).input("What is 1 + 1?").build());
    response.validate();
    check(!response.output().isEmpty(), "the response's output");
  }

  private void errors() {
    fails(
        BadRequestException.class,
        () -> client.chat().completions().create(ask("hi").temperature(-1).build()));
    fails(
        NotFoundException.class,
        () -> client.chat().completions().create(ask("hi").model("no-such").build()));
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
