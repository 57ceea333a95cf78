package io.tercel.trainer.worker;

import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.tercel.proto.v1.ChoiceEnd;
import io.tercel.proto.v1.Delta;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.Token;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.rollout.RolloutGroup;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** A group that a worker answers: tokens as they come, with the trainer's versions. */
final class GroupCall implements ClientResponseObserver<GenerateRequest, GenerateResponse> {
  private final RolloutGroup group;
  private final int size;
  private final Map<Long, Long> versions;
  private final Runnable heard;
  private final CompletableFuture<List<Rollout>> answer = new CompletableFuture<>();
  private volatile @Nullable ClientCallStreamObserver<GenerateRequest> stream;

  /**
   * @param versions the trainer's for each of the worker's
   * @param heard called whenever something comes
   */
  GroupCall(RolloutGroup group, int size, Map<Long, Long> versions, Runnable heard) {
    this.group = group;
    this.size = size;
    this.versions = versions;
    this.heard = heard;
  }

  /** All answers; it fails with whatever the call fails with. */
  CompletableFuture<List<Rollout>> answer() {
    return answer;
  }

  int size() {
    return size;
  }

  /** Gives it up; its answer fails. */
  void cancel(String why) {
    ClientCallStreamObserver<GenerateRequest> begun = stream;
    if (begun != null) {
      begun.cancel(why, null);
    }
    answer.completeExceptionally(Status.CANCELLED.withDescription(why).asRuntimeException());
  }

  @Override
  public void beforeStart(ClientCallStreamObserver<GenerateRequest> begun) {
    stream = begun;
  }

  @Override
  public void onNext(GenerateResponse message) {
    heard.run();
    try {
      switch (message.getEventCase()) {
        case DELTA -> add(message.getDelta());
        case CHOICE_END -> end(message.getChoiceEnd());
        case STARTED, PROMPT_SCORES, USAGE, EVENT_NOT_SET -> {}
      }
    } catch (RuntimeException e) { // whatever a worker sends
      cancel(String.valueOf(e.getMessage()));
    }
  }

  private void add(Delta delta) {
    for (Token token : delta.getTokensList()) {
      Long version = versions.get(token.getWeightVersion());
      if (version == null) {
        throw new IllegalStateException(
            "it answers by weights of version %d, which are not this run's"
                .formatted(token.getWeightVersion()));
      }
      if (!token.hasLogprob()) {
        throw new IllegalStateException("it sends no log-probabilities");
      }
      group.add(delta.getIndex(), token.getId(), token.getLogprob(), version, token.getForced());
    }
  }

  private void end(ChoiceEnd end) {
    group.end(
        end.getIndex(),
        switch (end.getFinishReason()) {
          case FINISH_REASON_STOP -> FinishReason.STOP;
          case FINISH_REASON_LENGTH -> FinishReason.LENGTH;
          case FINISH_REASON_REPETITION -> FinishReason.REPETITION;
          case FINISH_REASON_ABORT ->
              throw new IllegalStateException("an answer was aborted there");
          case FINISH_REASON_UNSPECIFIED, UNRECOGNIZED ->
              throw new IllegalStateException("an answer ended in a way that is not known");
        });
  }

  @Override
  public void onError(Throwable failure) {
    answer.completeExceptionally(failure);
  }

  @Override
  public void onCompleted() {
    if (group.whole()) {
      answer.complete(group.rollouts());
    } else {
      answer.completeExceptionally(
          Status.INTERNAL.withDescription("answers without an end").asRuntimeException());
    }
  }
}
