package io.tercel.server.openai;

import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Call;
import io.tercel.server.call.EventStream;
import io.tercel.server.openai.wire.ChatCompletionChunk;
import io.tercel.server.openai.wire.ChatDelta;
import io.tercel.server.openai.wire.ToolCall;
import io.tercel.server.openai.wire.UsageSlot;
import io.tercel.server.openai.wire.WeightVersion;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.CompletionId;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A chat answer as it is streamed: role, deltas, finish, for each choice; then the usage. */
final class ChatChunks implements GenerationReader.Sink {
  private final ChatRequest request;
  private final CompletionId id;
  private final Logprobs logprobs;
  private final EventStream sse;
  private final boolean[] begun;
  private boolean promptIdsSent;

  /** Begins the stream: from here on errors are events. */
  ChatChunks(ChatRequest request, CompletionId id, Logprobs logprobs, Call call) {
    this.request = request;
    this.id = id;
    this.logprobs = logprobs.naming(request.common().returned());
    this.sse = call.stream();
    this.begun = new boolean[request.params().n()];
  }

  void send(GenerationReader reader) throws InterruptedException {
    try {
      reader.readAll(this);
      if (request.common().includeUsage()) {
        sse.event(chunk(List.of(), new UsageSlot(ChatCompletionHandler.usage(request, reader))));
      }
      sse.done();
    } catch (ApiException e) {
      sse.fail(e);
    }
  }

  @Override
  public void delta(ChoiceDelta delta) {
    begin(delta.choice());
    boolean says = !delta.parts().isEmpty();
    if (says || (delta.end() == null && !delta.tokens().isEmpty())) {
      send(delta, ChatDelta.of(delta.text(), delta.reasoning(), toolCalls(delta)), null);
    }
    if (delta.end() != null) {
      // the last chunk says nothing, but scores that no text went with still have to go
      send(says ? withoutTokens(delta) : delta, ChatDelta.EMPTY, delta.end());
    }
  }

  private void begin(int choice) {
    if (!begun[choice]) {
      begun[choice] = true;
      emit(
          new ChatCompletionChunk.Choice(
              choice, ChatDelta.ROLE, null, null, null, null, null, null));
    }
  }

  private static List<ToolCall> toolCalls(ChoiceDelta delta) {
    return delta.calls().stream().map(call -> GatheredChoice.toolCall(call.index(), call)).toList();
  }

  private static ChoiceDelta withoutTokens(ChoiceDelta delta) {
    return new ChoiceDelta(delta.choice(), List.of(), List.of(), List.of(), List.of(), delta.end());
  }

  private void send(ChoiceDelta delta, ChatDelta content, @Nullable ChoiceEnd end) {
    boolean scored = request.topLogprobs() >= 0 && !delta.tokens().isEmpty();
    emit(
        new ChatCompletionChunk.Choice(
            delta.choice(),
            content,
            scored ? logprobs.chat(delta.tokens(), request.topLogprobs()) : null,
            end == null ? null : end.finishReason(),
            end == null ? null : end.stopReason(),
            request.common().returned().tokenIds() ? Logprobs.ids(delta.tokens()) : null,
            WeightVersion.of(delta.weights(), request.common().returned().weightVersions()),
            request.common().returned().forced(delta.forced())));
  }

  private void emit(ChatCompletionChunk.Choice choice) {
    sse.event(chunk(List.of(choice), request.common().includeUsage() ? UsageSlot.EMPTY : null));
  }

  private ChatCompletionChunk chunk(
      List<ChatCompletionChunk.Choice> choices, @Nullable UsageSlot usage) {
    List<Integer> promptIds = promptIdsSent ? null : ChatCompletionHandler.promptIds(request);
    promptIdsSent = true;
    return new ChatCompletionChunk(
        id.id(),
        "chat.completion.chunk",
        id.created(),
        id.model(),
        id.fingerprint(),
        choices,
        usage,
        promptIds);
  }
}
