package io.tercel.server.grpc;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.ops.TokenResult.TokenLogprob;
import io.tercel.proto.v1.BrokenKv;
import io.tercel.proto.v1.Delta;
import io.tercel.proto.v1.FinishReason;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.Phase;
import io.tercel.proto.v1.PromptScores;
import io.tercel.proto.v1.Started;
import io.tercel.proto.v1.Token;
import io.tercel.proto.v1.TopLogprob;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.ChoiceEnd;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.Caller;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.openai.TokenStream;
import io.tercel.server.openai.wire.Usage;
import io.tercel.server.request.CompletionId;
import java.util.ArrayList;
import java.util.List;

/** A generation as messages. A message belongs to one choice and one phase. */
final class GenerateStream implements Caller, TokenStream {
  /** Protobuf could say minus infinity, but what HTTP can't say clients don't expect. */
  private static final float LEAST_LOGPROB = -9999f;

  private final Outbound<GenerateResponse> out;
  private final boolean scored;
  private final boolean withText;
  private final List<Pending> pending = new ArrayList<>();

  /** Tokens of a choice that wait for their text: messages in the making, one a run of a phase. */
  private record Pending(List<Delta.Builder> runs) {
    Delta.Builder last(int choice, Phase phase) {
      if (runs.isEmpty() || runs.getLast().getPhase() != phase) {
        runs.add(Delta.newBuilder().setIndex(choice).setPhase(phase));
      }
      return runs.getLast();
    }

    /** Text belongs to the last run of its phase, or comes before or after all of them. */
    void text(int choice, Phase phase, String text) {
      if (text.isEmpty()) {
        return;
      }
      for (Delta.Builder run : runs.reversed()) {
        if (run.getPhase() == phase) {
          run.setText(text);
          return;
        }
      }
      Delta.Builder alone = Delta.newBuilder().setIndex(choice).setPhase(phase).setText(text);
      runs.add(phase == Phase.PHASE_THINKING ? 0 : runs.size(), alone);
    }
  }

  GenerateStream(Outbound<GenerateResponse> out, GenerateRequest request) {
    this.out = out;
    this.scored = request.hasLogprobs();
    this.withText = !request.hasReturnText() || request.getReturnText();
  }

  @Override
  public void started(CompletionId id, int promptTokens) {
    out.send(
        GenerateResponse.newBuilder()
            .setStarted(
                Started.newBuilder()
                    .setRequestId(id.id())
                    .setModel(id.model())
                    .setSystemFingerprint(id.fingerprint())
                    .setPromptTokens(promptTokens)
                    .setCreated(id.created()))
            .build());
  }

  @Override
  public void promptScored(List<TokenResult> scores) {
    PromptScores.Builder all = PromptScores.newBuilder();
    scores.forEach(score -> all.addTokens(token(score, true)));
    out.send(GenerateResponse.newBuilder().setPromptScores(all).build());
  }

  @Override
  public void token(EngineEvent.Token event, boolean thinking) {
    Phase phase = thinking ? Phase.PHASE_THINKING : Phase.PHASE_ANSWER;
    pending(event.choice())
        .last(event.choice(), phase)
        .addTokens(
            token(event.result(), scored)
                .setWeightVersion(event.weightVersion())
                .setForced(event.forced()));
    if (!withText) {
      flush(event.choice());
    }
  }

  @Override
  public void delta(ChoiceDelta delta) {
    if (withText) {
      pending(delta.choice()).text(delta.choice(), Phase.PHASE_THINKING, delta.reasoning());
      pending(delta.choice()).text(delta.choice(), Phase.PHASE_ANSWER, delta.text());
    }
    flush(delta.choice());
    if (delta.end() != null) {
      out.send(
          GenerateResponse.newBuilder().setChoiceEnd(end(delta.choice(), delta.end())).build());
    }
  }

  @Override
  public void ended(CompletionId id, List<GenerationReader.BrokenChoice> broken, Usage usage) {
    io.tercel.proto.v1.Usage.Builder message =
        io.tercel.proto.v1.Usage.newBuilder()
            .setPromptTokens(usage.promptTokens())
            .setCompletionTokens(usage.completionTokens())
            .setReasoningTokens(usage.completionDetails().reasoningTokens())
            .setCachedTokens(usage.promptDetails().cachedTokens())
            .setSystemFingerprint(id.fingerprint());
    for (GenerationReader.BrokenChoice choice : broken) {
      message.addBrokenKv(
          BrokenKv.newBuilder()
              .setIndex(choice.choice())
              .setTokens(choice.kv().tokens())
              .setWeightVersion(choice.kv().weightVersion())
              .setGenerated(choice.kv().generated()));
    }
    out.send(GenerateResponse.newBuilder().setUsage(message).build());
  }

  @Override
  public void whenGone(Runnable callback) {
    out.whenGone(callback);
  }

  @Override
  public boolean gone() {
    return out.gone();
  }

  @Override
  public CallRecord record() {
    return out.record();
  }

  private Pending pending(int choice) {
    while (pending.size() <= choice) {
      pending.add(new Pending(new ArrayList<>()));
    }
    return pending.get(choice);
  }

  private void flush(int choice) {
    List<Delta.Builder> runs = pending(choice).runs();
    for (Delta.Builder run : runs) {
      out.send(GenerateResponse.newBuilder().setDelta(run).build());
    }
    runs.clear();
  }

  private static Token.Builder token(TokenResult result, boolean scored) {
    Token.Builder token = Token.newBuilder().setId(result.tokenId());
    if (scored) {
      token.setLogprob(finite(result.logprob()));
      for (TokenLogprob top : result.top()) {
        token.addTop(
            TopLogprob.newBuilder().setId(top.tokenId()).setLogprob(finite(top.logprob())));
      }
    }
    return token;
  }

  private static float finite(float logprob) {
    return Math.max(LEAST_LOGPROB, logprob);
  }

  private static io.tercel.proto.v1.ChoiceEnd end(int choice, ChoiceEnd end) {
    io.tercel.proto.v1.ChoiceEnd.Builder message =
        io.tercel.proto.v1.ChoiceEnd.newBuilder().setIndex(choice);
    message.setFinishReason(
        switch (end.finishReason()) {
          case "length" -> FinishReason.FINISH_REASON_LENGTH;
          case "abort" -> FinishReason.FINISH_REASON_ABORT;
          default -> FinishReason.FINISH_REASON_STOP;
        });
    switch (end.stopReason()) {
      case Integer id -> message.setStopTokenId(id);
      case String stop -> message.setStop(stop);
      case ChoiceEnd.Cause.REPETITION ->
          message.setFinishReason(FinishReason.FINISH_REASON_REPETITION);
      case null, default -> {}
    }
    return message.build();
  }
}
