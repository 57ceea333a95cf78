package io.tercel.server.answer;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.EngineEvent.Finished;
import io.tercel.server.text.OutputPart;
import io.tercel.server.text.OutputText;
import io.tercel.server.text.ToolCallParser;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** One choice on its way from tokens to deltas. Not thread-safe. */
final class ChoiceReader {
  private final int choice;
  private final OutputText output;
  private final @Nullable ToolCallParser toolCalls;
  private final EndTokens endTokens;
  private List<TokenResult> pending = new ArrayList<>();
  private List<WeightRun> pendingWeights = List.of();
  private List<Integer> pendingForced = new ArrayList<>();
  private int numTokens;
  private @Nullable ChoiceEnd end;

  /**
   * Which ids end a choice.
   *
   * @param eos the model's own, empty when they are to be ignored
   * @param requested the request's
   * @param shown whether their text belongs to the answer
   */
  record EndTokens(Set<Integer> eos, Set<Integer> requested, boolean shown) {
    /** Whether the id ends the choice without a text of its own. */
    boolean hides(int id) {
      return !shown && (eos.contains(id) || requested.contains(id));
    }

    @Nullable Integer reason(int id) {
      return id >= 0 && requested.contains(id) ? id : null;
    }
  }

  ChoiceReader(
      int choice, OutputText output, @Nullable ToolCallParser toolCalls, EndTokens endTokens) {
    this.choice = choice;
    this.output = output;
    this.toolCalls = toolCalls;
    this.endTokens = endTokens;
  }

  /**
   * Takes a token; null while there is nothing to send. A delta with an end by a stop string means
   * that the engine is to be told.
   */
  @Nullable ChoiceDelta token(EngineEvent.Token event) {
    if (end != null) {
      return null; // on its way when the stop string was found
    }
    TokenResult token = event.result();
    if (event.forced()) {
      pendingForced.add(numTokens);
    }
    numTokens++;
    pending.add(token);
    pendingWeights =
        WeightRun.joined(pendingWeights, List.of(new WeightRun(event.weightVersion(), 1)));
    if (endTokens.hides(token.tokenId())) {
      return null; // its end follows at once
    }
    OutputText.Delta delta = output.accept(token.tokenId());
    List<OutputPart> parts = parts(delta, delta.stop() != null);
    if (delta.stop() != null) {
      end = end("stop", delta.stop());
    } else if (toolCalls != null && toolCalls.full()) {
      end = end("stop", null); // more than the calls was not asked for
    }
    return parts.isEmpty() && end == null ? null : delta(parts);
  }

  /** Takes the engine's end; null if a stop string came before it. */
  @Nullable ChoiceDelta finished(Finished event) {
    if (end != null) {
      return null;
    }
    OutputText.Delta rest = output.finish();
    List<OutputPart> parts = parts(rest, true);
    if (rest.stop() != null) {
      end = end("stop", rest.stop());
    } else if (event.reason() == FinishReason.ABORT) { // by whoever runs the server
      end = end("abort", null);
    } else if (event.reason() == FinishReason.STOP) {
      end = end("stop", endTokens.reason(event.stopTokenId()));
    } else if (event.reason() == FinishReason.REPETITION) {
      end = end("stop", ChoiceEnd.Cause.REPETITION);
    } else {
      end = end("length", null);
    }
    return delta(parts);
  }

  /** The parts with the tool calls taken out of the answer. */
  private List<OutputPart> parts(OutputText.Delta delta, boolean last) {
    if (toolCalls == null) {
      return delta.parts();
    }
    List<OutputPart> parts = new ArrayList<>();
    for (OutputPart part : delta.parts()) {
      if (part instanceof OutputPart.Text(String text)) {
        parts.addAll(toolCalls.accept(text));
      } else {
        parts.add(part);
      }
    }
    if (last) {
      parts.addAll(toolCalls.finish());
    }
    return parts;
  }

  private ChoiceEnd end(String finishReason, @Nullable Object stopReason) {
    boolean called = toolCalls != null && toolCalls.numCalls() > 0;
    return new ChoiceEnd(
        called && finishReason.equals("stop") ? "tool_calls" : finishReason, stopReason);
  }

  private ChoiceDelta delta(List<OutputPart> parts) {
    List<TokenResult> tokens = pending;
    List<WeightRun> weights = pendingWeights;
    List<Integer> forced = pendingForced;
    pending = new ArrayList<>();
    pendingWeights = List.of();
    pendingForced = new ArrayList<>();
    return new ChoiceDelta(choice, parts, tokens, weights, forced, end);
  }

  /** Tokens so far, those of the stop included. */
  int numTokens() {
    return numTokens;
  }

  /** Whether the thought is open. */
  boolean thinking() {
    return output.thinking();
  }

  int reasoningTokens() {
    return output.reasoningTokens();
  }

  @Nullable ChoiceEnd end() {
    return end;
  }
}
