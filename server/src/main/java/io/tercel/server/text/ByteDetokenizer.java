package io.tercel.server.text;

import io.tercel.server.text.Vocabulary.Decoder;

/** Detokenizes where each token is the same bytes wherever it stands: byte-level BPE and Fuse. */
final class ByteDetokenizer implements IncrementalDetokenizer {
  private static final byte[] BLANK = {' '};

  private final Vocabulary vocabulary;
  private final boolean skipSpecialTokens;
  private final Utf8Stream utf8 = new Utf8Stream();
  private boolean started;

  ByteDetokenizer(Vocabulary vocabulary, boolean skipSpecialTokens) {
    this.vocabulary = vocabulary;
    this.skipSpecialTokens = skipSpecialTokens;
  }

  @Override
  public String accept(int id) {
    if (!vocabulary.exists(id) || (skipSpecialTokens && vocabulary.isSpecial(id))) {
      return "";
    }
    boolean spaced = started && vocabulary.decoder() == Decoder.SPACED;
    started = true;
    String before = spaced ? utf8.accept(BLANK) : "";
    return before + utf8.accept(vocabulary.bytes(id));
  }

  @Override
  public String flush() {
    return utf8.flush();
  }
}
