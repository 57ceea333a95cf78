package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.openai.wire.TextLogprobs;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The legacy log-probs of one choice, whose offsets run on from chunk to chunk: places in the
 * returned text, the echoed prompt included, see {@link TokenPlaces}.
 */
final class TextLogprobsBuilder {
  private final Logprobs logprobs;
  private final int top;
  private final TokenPlaces places;

  /** Where the answer's text begins: behind an echoed prompt. */
  private int begin;

  /** Where the text ends that the client has been given. */
  private int shown;

  private List<Placed> placed = new ArrayList<>();

  /**
   * A token.
   *
   * @param score null for a prompt's first, which nothing precedes
   */
  private record Placed(int id, @Nullable TokenResult score, int offset) {}

  /**
   * For one choice.
   *
   * @param top how many of the likeliest to list with each token
   * @param skipSpecialTokens whether the choice's text leaves them out
   */
  TextLogprobsBuilder(Logprobs logprobs, int top, boolean skipSpecialTokens) {
    this.logprobs = logprobs;
    this.top = top;
    this.places = new TokenPlaces(logprobs.tokenizer(), skipSpecialTokens);
  }

  /**
   * An echoed prompt, before all else.
   *
   * @param text that is returned for it
   * @param scores of its tokens from the second on
   */
  void addPrompt(int[] ids, String text, List<TokenResult> scores) {
    int[] offsets = TokenPlaces.ofPrompt(logprobs.tokenizer(), ids, text);
    for (int i = 0; i <= scores.size(); i++) {
      placed.add(new Placed(ids[i], i == 0 ? null : scores.get(i - 1), offsets[i]));
    }
    begin = TokenPlaces.length(text);
    shown = begin;
  }

  /**
   * Tokens of the answer.
   *
   * @param text that the choice gained with them
   * @param last whether there is no more text: what a stop string cut off lies at its end
   */
  void add(List<TokenResult> more, String text, boolean last) {
    shown += TokenPlaces.length(text);
    for (TokenResult token : more) {
      int place = begin + places.next(token.tokenId());
      placed.add(new Placed(token.tokenId(), token, last ? Math.min(place, shown) : place));
    }
  }

  /** What was added since it was last taken. */
  TextLogprobs take() {
    List<Placed> taken = placed;
    placed = new ArrayList<>();
    return new TextLogprobs(
        new MappedList<>(taken, Placed::offset),
        new MappedList<>(taken, p -> p.score() == null ? null : finite(p.score())),
        new MappedList<>(taken, p -> logprobs.name(p.id())),
        new MappedList<>(
            taken, p -> p.score() == null ? null : logprobs.likeliest(p.score(), top)));
  }

  private static Float finite(TokenResult score) {
    return Logprobs.finite(score.logprob());
  }
}
