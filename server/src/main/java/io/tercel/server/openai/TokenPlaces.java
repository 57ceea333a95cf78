package io.tercel.server.openai;

import io.tercel.server.text.IncrementalDetokenizer;
import io.tercel.server.text.Tokenizer;

/**
 * Where tokens begin in the text that they make, in characters (code points). Parts of a character
 * share its place, and what is left out of the text takes no room.
 */
final class TokenPlaces {
  private final Tokenizer tokenizer;
  private final IncrementalDetokenizer detokenizer;
  private int end;

  /**
   * Of tokens in a row.
   *
   * @param skipSpecialTokens whether their text leaves them out
   */
  TokenPlaces(Tokenizer tokenizer, boolean skipSpecialTokens) {
    this.tokenizer = tokenizer;
    this.detokenizer = tokenizer.detokenizer(skipSpecialTokens);
  }

  /** The place of the next token. */
  int next(int id) {
    String piece = detokenizer.accept(id);
    // half a character of an earlier token may have turned out to be none, and come out with this
    int earlier = Math.max(0, length(piece) - length(tokenizer.tokenText(id)));
    int place = end + earlier;
    end += length(piece);
    return place;
  }

  /**
   * The places of a prompt's tokens in its text. Special tokens that the text doesn't have, which
   * the tokenizer adds, take no room.
   */
  static int[] ofPrompt(Tokenizer tokenizer, int[] ids, String text) {
    TokenPlaces places = new TokenPlaces(tokenizer, false);
    int[] all = new int[ids.length];
    int length = length(text);
    int added = 0;
    for (int i = 0; i < ids.length; i++) {
      int place = Math.min(length, places.next(ids[i]) - added);
      all[i] = place;
      if (tokenizer.isSpecial(ids[i])) {
        String its = tokenizer.tokenText(ids[i]);
        if (!text.startsWith(its, text.offsetByCodePoints(0, place))) {
          added += length(its);
        }
      }
    }
    return all;
  }

  static int length(String text) {
    return text.codePointCount(0, text.length());
  }
}
