package io.tercel.server.anthropic;

import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.anthropic.wire.Message;
import io.tercel.server.anthropic.wire.MessageUsage;
import io.tercel.server.anthropic.wire.Stop;
import io.tercel.server.anthropic.wire.StreamEvent;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.EngineEvent.Started;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.SseWriter;
import io.tercel.server.request.CompletionId;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** An answer as it is streamed: message, blocks, their deltas, the end; pings in any silence. */
final class MessageStream implements GenerationReader.Sink {
  private static final String PING = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

  private final MessageRequest request;
  private final CompletionId id;
  private final Exchange exchange;
  private final SseWriter sse;
  private final MessageOutput output;
  private boolean begun;
  private @Nullable Stop stop;

  /** Begins the stream: from here on errors are events. */
  MessageStream(MessageRequest request, CompletionId id, Exchange exchange) {
    this.request = request;
    this.id = id;
    this.exchange = exchange;
    this.sse = exchange.stream(PING);
    this.output = new MessageOutput(request.hidesThought(), this::event);
  }

  void send(GenerationReader reader) throws InterruptedException {
    try {
      reader.readAll(this);
      if (stop != null) {
        event(new StreamEvent.MessageDelta(stop, MessagesHandler.usage(request, reader)));
      }
      event(new StreamEvent.MessageStop());
      sse.end();
    } catch (ApiException e) {
      sse.fail("error", exchange.error(e), e);
    }
  }

  /** Not before: only now it is known what the prefix cache had. */
  @Override
  public void started(Started started) {
    begin(started.cachedTokens());
  }

  @Override
  public void delta(ChoiceDelta delta) {
    begin(0); // one that was ended before it had begun
    output.add(delta);
    if (delta.end() != null) {
      stop = MessagesHandler.stop(request, delta.end());
    }
  }

  private void begin(int cachedTokens) {
    if (!begun) {
      begun = true;
      MessageUsage usage = MessageUsage.begun(request.chat().prompt().length, cachedTokens);
      event(new StreamEvent.MessageStart(Message.of(id.id(), id.model(), List.of(), null, usage)));
      event(new StreamEvent.Ping());
    }
  }

  private void event(StreamEvent event) {
    sse.event(event.type(), event);
  }
}
