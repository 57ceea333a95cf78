package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.openai.wire.TextLogprobs;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The legacy log-probs of one choice, whose offsets run on from chunk to chunk. */
final class TextLogprobsBuilder {
  private final Logprobs logprobs;
  private final int top;
  private int offset;
  private List<Integer> offsets = new ArrayList<>();
  private List<@Nullable Float> values = new ArrayList<>();
  private List<String> tokens = new ArrayList<>();
  private List<@Nullable Map<String, Float>> likeliest = new ArrayList<>();

  /**
   * For one choice.
   *
   * @param top how many of the likeliest to list with each token
   */
  TextLogprobsBuilder(Logprobs logprobs, int top) {
    this.logprobs = logprobs;
    this.top = top;
  }

  /** The first token of an echoed prompt, which nothing precedes. */
  void addFirst(int id) {
    place(logprobs.text(id));
    values.add(null);
    likeliest.add(null);
  }

  void add(List<TokenResult> more) {
    for (TokenResult token : more) {
      place(logprobs.text(token.tokenId()));
      values.add(Logprobs.finite(token.logprob()));
      likeliest.add(logprobs.likeliest(token, top));
    }
  }

  /** What was added since it was last taken. */
  TextLogprobs take() {
    TextLogprobs taken = new TextLogprobs(offsets, values, tokens, likeliest);
    offsets = new ArrayList<>();
    values = new ArrayList<>();
    tokens = new ArrayList<>();
    likeliest = new ArrayList<>();
    return taken;
  }

  private void place(String text) {
    offsets.add(offset);
    tokens.add(text);
    offset += text.length();
  }
}
