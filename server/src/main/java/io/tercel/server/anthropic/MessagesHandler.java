package io.tercel.server.anthropic;

import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.anthropic.wire.Message;
import io.tercel.server.anthropic.wire.MessageUsage;
import io.tercel.server.anthropic.wire.Stop;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.CompletionId;
import io.tercel.server.request.RequestFields;
import org.jspecify.annotations.Nullable;

/** {@code POST /v1/messages}. */
final class MessagesHandler implements Handler {
  private final ApiContext context;

  MessagesHandler(ApiContext context) {
    this.context = context;
  }

  @Override
  public void handle(Exchange exchange) throws InterruptedException {
    long arrived = System.nanoTime();
    MessageRequest request =
        exchange.read(
            context.intake(), body -> MessagesFields.read(new RequestFields(body), context));
    ChatRequest chat = request.chat();
    CompletionId id =
        CompletionId.next("msg_", chat.common().model(), context.config(), context.model());
    GenerationReader reader =
        context
            .sequencing()
            .submit(
                exchange,
                chat.common().generation(exchange, id.id(), chat.prompt(), chat.params()),
                chat.common().text(),
                chat.parts(),
                arrived);
    if (chat.common().stream()) {
      new MessageStream(request, id, exchange).send(reader);
    } else {
      exchange.json(200, whole(request, id, reader));
    }
  }

  private static Message whole(MessageRequest request, CompletionId id, GenerationReader reader)
      throws InterruptedException {
    Whole whole = new Whole(request);
    reader.readAll(whole);
    return Message.of(
        id.id(), id.model(), whole.output.blocks(), whole.stop, usage(request, reader));
  }

  /** Gathers an answer that isn't streamed. */
  private static final class Whole implements GenerationReader.Sink {
    private final MessageRequest request;
    private final MessageOutput output;
    private @Nullable Stop stop;

    Whole(MessageRequest request) {
      this.request = request;
      this.output = new MessageOutput(request.hidesThought(), _ -> {});
    }

    @Override
    public void delta(ChoiceDelta delta) {
      output.add(delta);
      if (delta.end() != null) {
        stop = stop(request, delta.end());
      }
    }
  }

  static MessageUsage usage(MessageRequest request, GenerationReader reader) {
    return MessageUsage.of(
        request.chat().prompt().length,
        reader.cachedTokens(),
        reader.numTokens(),
        reader.reasoningTokens());
  }

  /** An end in this API's words. What was cut off by others than the model has reached a limit. */
  static Stop stop(MessageRequest request, ChoiceEnd end) {
    return switch (end.finishReason()) {
      case "tool_calls" -> new Stop("tool_use", null);
      case "length" ->
          new Stop(request.cutByContext() ? "model_context_window_exceeded" : "max_tokens", null);
      case "stop" ->
          end.stopReason() instanceof String sequence
              ? new Stop("stop_sequence", sequence)
              : new Stop("end_turn", null);
      default -> new Stop("max_tokens", null);
    };
  }
}
