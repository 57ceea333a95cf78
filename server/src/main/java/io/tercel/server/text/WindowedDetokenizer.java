package io.tercel.server.text;

import java.util.Arrays;

/**
 * Detokenizes where a token's text depends on its neighbours (SentencePiece's blanks, word pieces).
 *
 * <p>Decodes a short window twice, without and with the newest ids, and gives the difference: the
 * ids before the window only serve as the context that decides about blanks. So does vLLM's
 * detokenizer. A window that ends within a character waits; one that waits for {@value #MAX_WAIT}
 * ids is no character and is given as it is.
 */
final class WindowedDetokenizer implements IncrementalDetokenizer {
  private static final int MAX_WAIT = 8;

  private final Tokenizer tokenizer;
  private final boolean skipSpecialTokens;
  private int[] ids = new int[4 * MAX_WAIT];
  private int count;
  private int given;

  WindowedDetokenizer(Tokenizer tokenizer, boolean skipSpecialTokens) {
    this.tokenizer = tokenizer;
    this.skipSpecialTokens = skipSpecialTokens;
  }

  @Override
  public String accept(int id) {
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, 2 * count);
    }
    ids[count++] = id;
    return advance(count - given > MAX_WAIT);
  }

  @Override
  public String flush() {
    return advance(true);
  }

  private String advance(boolean all) {
    String context = tokenizer.decode(ids, 0, given, skipSpecialTokens);
    String whole = tokenizer.decode(ids, 0, count, skipSpecialTokens);
    if (whole.length() <= context.length() || (!all && whole.endsWith("\ufffd"))) {
      return "";
    }
    String text = whole.substring(context.length());
    // The ids just given are the next context; those before them have served.
    count -= given;
    System.arraycopy(ids, given, ids, 0, count);
    given = count;
    return text;
  }
}
