package io.tercel.server.text;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A model's tokenizer: text to ids and back, by Hugging Face's tokenizers (native, through DJL).
 *
 * <p>Nothing is truncated or padded, however long the text; nothing is fetched from a network. The
 * native library is loaded by {@link #open} and by nothing else; DJL unpacks it into its cache
 * folder ({@code ~/.djl.ai}, or {@code DJL_CACHE_DIR}).
 *
 * <p><b>Threads.</b> Any number of threads may use one tokenizer: the native object is only read
 * (its word cache has its own lock). A virtual thread is pinned to its carrier within a native
 * call; that call is pure computation, so the carrier would be busy anyway, but as many long
 * prompts as there are carriers do keep other virtual threads waiting until one is done (40,000
 * tokens of Qwen3: about 90 ms of one core).
 *
 * <p>{@code clean_up_tokenization_spaces} is not applied: reasoning models set it to false, and a
 * stream could not take a blank back.
 */
public final class Tokenizer implements AutoCloseable {
  private final HuggingFaceTokenizer tokenizer;
  private final Vocabulary vocabulary;
  private final TokenizerConfig config;

  private Tokenizer(HuggingFaceTokenizer tokenizer, Vocabulary vocabulary, TokenizerConfig config) {
    this.tokenizer = tokenizer;
    this.vocabulary = vocabulary;
    this.config = config;
  }

  /**
   * Opens a model's tokenizer from {@code tokenizer.json} and, where present, {@code
   * tokenizer_config.json} and {@code chat_template.jinja}.
   *
   * @throws IOException in one line that names the file, if one is missing or malformed
   */
  public static Tokenizer open(Path modelDir) throws IOException {
    Path file = modelDir.resolve("tokenizer.json");
    Vocabulary vocabulary = Vocabulary.read(file);
    TokenizerConfig config = TokenizerConfig.read(modelDir);
    // Both before DJL's classes load: no download of libraries, no report to its makers.
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("OPT_OUT_TRACKING", "true");
    try {
      // DJL truncates at 512 tokens unless told not to.
      Map<String, String> options = Map.of("truncation", "false", "padding", "false");
      return new Tokenizer(HuggingFaceTokenizer.newInstance(file, options), vocabulary, config);
    } catch (RuntimeException e) {
      String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("unreadable");
      throw new IOException(file + " is no tokenizer: " + reason, e);
    }
  }

  /**
   * The ids of a text.
   *
   * @param addSpecialTokens whether the tokenizer adds its own (a BOS, say): true for a raw
   *     completion, false for a rendered chat template, which has them already
   */
  public int[] encode(String text, boolean addSpecialTokens) {
    Encoding encoding = tokenizer.encode(text, addSpecialTokens, false);
    long[] wide = encoding.getIds();
    int[] ids = new int[wide.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = (int) wide[i];
    }
    return ids;
  }

  /**
   * The text of ids; ids that are no tokens give nothing.
   *
   * @param skipSpecialTokens whether tokens marked special give nothing too
   */
  public String decode(int[] ids, boolean skipSpecialTokens) {
    return decode(ids, 0, ids.length, skipSpecialTokens);
  }

  /** The text of the ids from {@code from} to before {@code to}. */
  String decode(int[] ids, int from, int to, boolean skipSpecialTokens) {
    int count = 0;
    long[] wide = new long[to - from];
    for (int i = from; i < to; i++) {
      // A negative id would be read as a huge one; leave out what is no token at all.
      if (vocabulary.exists(ids[i])) {
        wide[count++] = ids[i];
      }
    }
    return count == 0 ? "" : tokenizer.decode(Arrays.copyOf(wide, count), skipSpecialTokens);
  }

  /**
   * The bytes that one id stands for, special tokens included: a part of a character where the
   * vocabulary cuts through one, nothing where there is no such token.
   */
  public byte[] tokenBytes(int id) {
    return vocabulary.bytes(id).clone();
  }

  /** Whether a text's bytes are those of its tokens in a row, wherever they stand. */
  public boolean joinsTokens() {
    return switch (vocabulary.decoder()) {
      case BYTE_LEVEL, FUSE -> true;
      case SPACED, CONTEXTUAL -> false;
    };
  }

  /** The text of one id by itself, U+FFFD for parts of characters; what log-probs call token. */
  public String tokenText(int id) {
    Utf8Stream utf8 = new Utf8Stream();
    return utf8.accept(vocabulary.bytes(id)) + utf8.flush();
  }

  /** The id of a token by its spelling in the file (added tokens as they look), if there is one. */
  public OptionalInt tokenId(String token) {
    int id = vocabulary.id(token);
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * One more than the highest id of a token. The model's own vocabulary may be padded beyond it;
   * those rows decode to nothing.
   */
  public int vocabSize() {
    return vocabulary.size();
  }

  /** Bytes of the longest token: no text has fewer tokens than its bytes over these. */
  public int longestTokenBytes() {
    return vocabulary.longest();
  }

  /** Whether an id is an added token marked special, which {@code skipSpecialTokens} leaves out. */
  public boolean isSpecial(int id) {
    return vocabulary.isSpecial(id);
  }

  /** The special tokens and chat templates. */
  public TokenizerConfig config() {
    return config;
  }

  /**
   * The ids that end a text: the model's own and the tokenizer's {@code eos_token}. A base model
   * that was tuned to chat often names its end of turn in tokenizer_config.json alone.
   *
   * @param ofModel as config.json and generation_config.json have them
   */
  public Set<Integer> endTokens(Collection<Integer> ofModel) {
    Set<Integer> ends = new HashSet<>(ofModel);
    config.token("eos_token").map(this::tokenId).ifPresent(id -> id.ifPresent(ends::add));
    return ends;
  }

  /** A detokenizer for one stream of generated ids. */
  public IncrementalDetokenizer detokenizer(boolean skipSpecialTokens) {
    return vocabulary.decoder() == Vocabulary.Decoder.CONTEXTUAL
        ? new WindowedDetokenizer(this, skipSpecialTokens)
        : new ByteDetokenizer(vocabulary, skipSpecialTokens);
  }

  /** Frees the native tokenizer; no thread may be using it. */
  @Override
  public void close() {
    tokenizer.close();
  }
}
