import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.JsonValue;
import com.anthropic.core.http.StreamResponse;
import com.anthropic.errors.BadRequestException;
import com.anthropic.errors.NotFoundException;
import com.anthropic.errors.UnauthorizedException;
import com.anthropic.helpers.MessageAccumulator;
import com.anthropic.models.messages.ContentBlock;
import com.anthropic.models.messages.ContentBlockParam;
import com.anthropic.models.messages.Message;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.RawMessageStreamEvent;
import com.anthropic.models.messages.StopReason;
import com.anthropic.models.messages.Tool;
import com.anthropic.models.messages.ToolChoiceAny;
import com.anthropic.models.messages.ToolResultBlockParam;
import com.anthropic.models.messages.ToolUseBlock;
import com.anthropic.models.messages.UserMessageParam;
import com.anthropic.models.models.ModelInfo;
import java.util.List;
import java.util.Map;

/**
 * Anthropic's own Java client against a running server, whatever its model says.
 *
 * <p>{@code ./mvnw -q -f docs/clients/java/pom.xml compile exec:java -Dexec.mainClass=AnthropicJava
 * -Dexec.args="http://127.0.0.1:8000 KEY"}
 */
public final class AnthropicJava {
  private final AnthropicClient client;
  private final String model;

  private AnthropicJava(AnthropicClient client) {
    this.client = client;
    ModelInfo first = client.models().list().data().getFirst();
    first.validate();
    this.model = first.id();
  }

  public static void main(String[] args) {
    AnthropicOkHttpClient.Builder builder =
        AnthropicOkHttpClient.builder().baseUrl(args[0]).maxRetries(0);
    AnthropicClient client = builder.apiKey(args.length > 1 ? args[1] : "none").build();
    AnthropicJava tests = new AnthropicJava(client);
    tests.message();
    tests.stream();
    tests.thought();
    tests.tools();
    tests.countedTokens();
    tests.leavesAStream();
    tests.errors();
    if (args.length > 1) {
      AnthropicClient stranger = builder.apiKey(args[1] + "x").build();
      fails(UnauthorizedException.class, () -> stranger.models().list());
    }
    client.close();
    System.out.println("ok anthropic-java");
  }

  private MessageCreateParams.Builder ask(String text) {
    return MessageCreateParams.builder()
        .model(model)
        .maxTokens(64)
        .putAdditionalBodyProperty("temperature", JsonValue.from(0))
        .addUserMessage(text);
  }

  private void message() {
    Message answer = client.messages().create(ask("What is 12 + 30?").build());
    answer.validate();
    check(answer.usage().outputTokens() > 0, "usage");
    check(answer.content().stream().allMatch(ContentBlock::isText), "nobody asked for a thought");
    check(answer.stopReason().isPresent(), "stop_reason");
  }

  private Message streamed(MessageCreateParams params) {
    MessageAccumulator all = MessageAccumulator.create();
    try (StreamResponse<RawMessageStreamEvent> stream = client.messages().createStreaming(params)) {
      stream.stream().peek(RawMessageStreamEvent::validate).forEach(all::accumulate);
    }
    return all.message();
  }

  private void stream() {
    MessageCreateParams params = ask("What is 2 + 3?").build();
    Message whole = client.messages().create(params);
    Message streamed = streamed(params);
    check(streamed.content().equals(whole.content()), "a stream says what the whole answer says");
    check(streamed.stopReason().equals(whole.stopReason()), "stop_reason of a stream");
    check(
        streamed.usage().outputTokens() == whole.usage().outputTokens(), "usage of a stream");
    String text = whole.content().getFirst().asText().text();
    if (text.length() >= 8) {
      String stop = text.substring(3, 6);
      Message stopped = client.messages().create(ask("What is 2 + 3?").addStopSequence(stop).build());
      check(stopped.stopReason().orElseThrow().equals(StopReason.STOP_SEQUENCE), "stop_sequence");
      check(stopped.stopSequence().orElseThrow().equals(stop), "the stop sequence");
      check(
          stopped.content().getFirst().asText().text().equals(text.substring(0, text.indexOf(stop))),
          "a stop sequence is not sent");
    }
  }

  private void thought() {
    MessageCreateParams params =
        ask("What is 12 + 30?").maxTokens(1100).enabledThinking(1024).build();
    Message whole = client.messages().create(params);
    whole.validate();
    Message streamed = streamed(params);
    check(streamed.content().equals(whole.content()), "a streamed thought, signature and all");
    check(whole.content().getFirst().isThinking(), "a thought first");
    Message next =
        client
            .messages()
            .create(ask("What is 12 + 30?").addMessage(whole).addUserMessage("And 1?").build());
    next.validate();
  }

  private static Tool add() {
    return Tool.builder()
        .name("add")
        .inputSchema(
            Tool.InputSchema.builder()
                .properties(JsonValue.from(Map.of("a", Map.of("type", "integer"))))
                .required(List.of("a"))
                .putAdditionalProperty("additionalProperties", JsonValue.from(false))
                .build())
        .build();
  }

  private void tools() {
    MessageCreateParams params =
        ask("Add 1 and 2.")
            .maxTokens(400)
            .addTool(add())
            .toolChoice(ToolChoiceAny.builder().disableParallelToolUse(true).build())
            .build();
    Message answer = client.messages().create(params);
    answer.validate();
    check(answer.stopReason().orElseThrow().equals(StopReason.TOOL_USE), "tool_use");
    ToolUseBlock call = answer.content().getLast().asToolUse();
    check(call.name().equals("add"), "the tool's name");
    ToolUseBlock streamed = streamed(params).content().getLast().asToolUse();
    check(streamed._input().equals(call._input()), "a streamed call has the same input");
    // what the tool said goes back
    Message next =
        client
            .messages()
            .create(
                ask("Add 1 and 2.")
                    .addTool(add())
                    .addMessage(answer)
                    .addMessage(
                        UserMessageParam.builder()
                            .contentOfContentBlockParams(
                                List.of(
                                    ContentBlockParam.ofToolResult(
                                        ToolResultBlockParam.builder()
                                            .toolUseId(call.id())
                                            .content("3")
                                            .build())))
                            .build())
                    .build());
    next.validate();
  }

  private void countedTokens() {
    long counted =
        client
            .messages()
            .countTokens(
                MessageCountTokensParams.builder()
                    .model(model)
                    .addUserMessage("What is 12 + 30?")
                    .build())
            .inputTokens();
    var usage = client.messages().create(ask("What is 12 + 30?").build()).usage();
    check(
        counted == usage.inputTokens() + usage.cacheReadInputTokens().orElse(0L),
        "counted tokens are those of the prompt");
  }

  private void leavesAStream() {
    try (StreamResponse<RawMessageStreamEvent> stream =
        client
            .messages()
            .createStreaming(
                ask("Count.")
                    .maxTokens(100_000)
                    .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
                    .build())) {
      check(stream.stream().limit(5).count() == 5, "five events");
    }
  }

  private void errors() {
    fails(
        BadRequestException.class,
        () ->
            client
                .messages()
                .create(
                    ask("hi").putAdditionalBodyProperty("temperature", JsonValue.from(2)).build()));
    fails(
        NotFoundException.class,
        () -> client.messages().create(ask("hi").model("no-such").build()));
    fails(NotFoundException.class, () -> client.models().retrieve("no-such"));
  }

  private static void fails(Class<? extends Exception> type, Runnable call) {
    try {
      call.run();
    } catch (RuntimeException e) {
      check(type.isInstance(e), type.getSimpleName() + ", not " + e);
      return;
    }
    check(false, type.getSimpleName() + ", not an answer");
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError("not so: " + what);
    }
  }
}
