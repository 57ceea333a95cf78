package io.tercel.loadtests.client;

import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.proto.v1.ChatCompletionsResponse;
import io.tercel.proto.v1.Delta;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.Phase;
import io.tercel.proto.v1.Usage;

/** Reads the messages of one call into its trace. */
sealed interface GrpcAnswer<R> {
  /** A message that came at that time. */
  void message(R message, long nanos);

  /** The call ended well. */
  void end(long nanos);

  /** Of {@code Inference.Generate}. */
  final class Generation implements GrpcAnswer<GenerateResponse> {
    private final RequestTrace trace;
    private boolean finished;

    Generation(RequestTrace trace) {
      this.trace = trace;
    }

    @Override
    public void message(GenerateResponse message, long nanos) {
      switch (message.getEventCase()) {
        case DELTA -> {
          Delta delta = message.getDelta();
          boolean thought = delta.getPhase() == Phase.PHASE_THINKING;
          if (delta.getTokensCount() > 0) {
            trace.tokens(nanos, !thought);
          }
          trace.text(thought ? delta.getText() : "", thought ? "" : delta.getText());
        }
        case CHOICE_END -> {
          finished = true;
          trace.finish(nanos);
        }
        case USAGE -> {
          Usage usage = message.getUsage();
          trace.usage(
              usage.getPromptTokens(),
              usage.getCachedTokens(),
              usage.getCompletionTokens(),
              usage.getReasoningTokens());
        }
        case STARTED, PROMPT_SCORES, EVENT_NOT_SET -> {}
      }
    }

    @Override
    public void end(long nanos) {
      if (finished) {
        trace.completed(nanos);
      } else {
        trace.failed(nanos, Failure.stream("the stream ended before its end"));
      }
    }
  }

  /** Of {@code Inference.ChatCompletions}. */
  final class Chat implements GrpcAnswer<ChatCompletionsResponse> {
    private final CompletionEvents events;

    Chat(RequestTrace trace) {
      this.events = new CompletionEvents(trace);
    }

    @Override
    public void message(ChatCompletionsResponse message, long nanos) {
      events.chunk(message.getJson().toByteArray(), nanos);
    }

    @Override
    public void end(long nanos) {
      events.end(nanos);
    }
  }
}
