package io.tercel.server.api;

import io.tercel.kernels.ops.TokenResult;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** All deltas of a choice put together. */
final class GatheredChoice {
  private final StringBuilder text = new StringBuilder();
  private final StringBuilder reasoning = new StringBuilder();
  private final List<TokenResult> tokens = new ArrayList<>();
  private @Nullable ChoiceEnd end;

  void add(ChoiceDelta delta) {
    text.append(delta.text());
    reasoning.append(delta.reasoning());
    tokens.addAll(delta.tokens());
    if (delta.end() != null) {
      end = delta.end();
    }
  }

  /** All of it as one delta of the choice. */
  ChoiceDelta asDelta(int choice) {
    return new ChoiceDelta(choice, reasoning(), text(), tokens, end());
  }

  String text() {
    return text.toString();
  }

  String reasoning() {
    return reasoning.toString();
  }

  List<TokenResult> tokens() {
    return tokens;
  }

  /** How it ended; to be asked when it has. */
  ChoiceEnd end() {
    ChoiceEnd known = end;
    if (known == null) {
      throw new IllegalStateException("a choice has no end yet");
    }
    return known;
  }
}
