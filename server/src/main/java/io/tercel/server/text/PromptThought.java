package io.tercel.server.text;

import io.tercel.server.text.ReasoningParser.Markers;
import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** How far a prompt has come with the thought of the turn that it ends in. */
public enum PromptThought {
  /** None has begun; the model may open one. */
  NONE,

  /** It is open: the model's first token belongs to it. */
  OPEN,

  /** It is over, or was closed empty: all that the model writes is answer. */
  CLOSED;

  /**
   * What a prompt's tokens say: the last marker since the turn began, however far back it stands.
   * Special tokens and end tokens divide turns, so a marker that an earlier turn talks about does
   * not count.
   *
   * @param markers null for a model that doesn't think aloud
   * @param ends the ids that end a text
   */
  public static PromptThought of(
      Tokenizer tokenizer, @Nullable Markers markers, Set<Integer> ends, int[] prompt) {
    if (markers == null) {
      return NONE;
    }
    int turn = prompt.length;
    for (; turn > 0; turn--) {
      int id = prompt[turn - 1];
      if (markers.areTokens() && id == markers.openId()) {
        return OPEN;
      }
      if (markers.areTokens() && id == markers.closeId()) {
        return CLOSED;
      }
      if (ends.contains(id) || tokenizer.isSpecial(id)) {
        break;
      }
    }
    if (markers.areTokens()) {
      return NONE;
    }
    String text = tokenizer.decode(Arrays.copyOfRange(prompt, turn, prompt.length), false);
    int open = text.lastIndexOf(markers.open());
    int close = text.lastIndexOf(markers.close());
    return open > close ? OPEN : close >= 0 ? CLOSED : NONE;
  }
}
