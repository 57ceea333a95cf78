package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.ops.TokenResult.TokenLogprob;
import io.tercel.server.openai.wire.ChatLogprobs;
import io.tercel.server.openai.wire.PromptLogprob;
import io.tercel.server.request.Returned;
import io.tercel.server.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Log-probs as clients get them: with the tokens' texts, and no infinities, which JSON lacks. */
final class Logprobs {
  private static final float LOWEST = -9999;

  private final Tokenizer tokenizer;
  private final boolean byIds;

  Logprobs(Tokenizer tokenizer) {
    this(tokenizer, false);
  }

  private Logprobs(Tokenizer tokenizer, boolean byIds) {
    this.tokenizer = tokenizer;
    this.byIds = byIds;
  }

  /** The same for a request, which may want tokens called by their ids. */
  Logprobs naming(Returned returned) {
    return returned.tokensAsIds() == byIds ? this : new Logprobs(tokenizer, returned.tokensAsIds());
  }

  static float finite(float logprob) {
    return logprob >= LOWEST ? logprob : LOWEST; // NaN too
  }

  /**
   * Of a chat's tokens.
   *
   * @param top how many of the likeliest to list
   */
  ChatLogprobs chat(List<TokenResult> tokens, int top) {
    return new ChatLogprobs(new MappedList<>(tokens, token -> entry(token, top)));
  }

  private ChatLogprobs.Entry entry(TokenResult token, int top) {
    List<ChatLogprobs.Top> likeliest = new ArrayList<>(top);
    for (TokenLogprob t : token.top().subList(0, Math.min(top, token.top().size()))) {
      likeliest.add(
          new ChatLogprobs.Top(called(t.tokenId()), finite(t.logprob()), bytes(t.tokenId())));
    }
    return new ChatLogprobs.Entry(
        called(token.tokenId()), finite(token.logprob()), bytes(token.tokenId()), likeliest);
  }

  /**
   * The likeliest by their names, all of them; the token itself first, even if it isn't among them.
   * Of two that are called alike the second goes by its id, {@code token_id:5}, as vLLM has it.
   */
  Map<String, Float> likeliest(TokenResult token, int top) {
    Map<String, Float> likeliest = new LinkedHashMap<>();
    likeliest.put(name(token.tokenId()), finite(token.logprob()));
    for (TokenLogprob t : token.top().subList(0, Math.min(top, token.top().size()))) {
      if (t.tokenId() != token.tokenId()) {
        String name = name(t.tokenId());
        likeliest.put(likeliest.containsKey(name) ? byId(t.tokenId()) : name, finite(t.logprob()));
      }
    }
    return likeliest;
  }

  /**
   * What the legacy route calls a token, as OpenAI does: its text, or its bytes, such as {@code
   * bytes:\\xf0\\x9f}, where it is but a part of a character; or its id, where the request wants
   * that.
   */
  String name(int id) {
    if (byIds) {
      return byId(id);
    }
    byte[] bytes = tokenizer.tokenBytes(id);
    String text = text(id);
    if (Arrays.equals(text.getBytes(StandardCharsets.UTF_8), bytes)) {
      return text;
    }
    StringBuilder name = new StringBuilder("bytes:");
    for (byte b : bytes) {
      boolean plain = b >= ' ' && b <= '~' && b != '\\';
      name.append(plain ? Character.toString(b) : "\\x%02x".formatted(b & 0xff));
    }
    return name.toString();
  }

  Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * Of a prompt, by token ids as vLLM has it; null for the first token, which nothing precedes.
   *
   * @param scores one a token from the second on
   */
  List<@Nullable Map<String, PromptLogprob>> prompt(List<TokenResult> scores) {
    List<@Nullable Map<String, PromptLogprob>> all = new ArrayList<>(scores.size() + 1);
    all.add(null);
    for (TokenResult score : scores) {
      Map<String, PromptLogprob> entry = new LinkedHashMap<>();
      put(entry, score.tokenId(), score.logprob(), score.rank());
      int rank = 1;
      for (TokenLogprob t : score.top()) {
        put(entry, t.tokenId(), t.logprob(), rank++);
      }
      all.add(entry);
    }
    return all;
  }

  private void put(Map<String, PromptLogprob> entry, int id, float logprob, int rank) {
    entry.putIfAbsent(Integer.toString(id), new PromptLogprob(finite(logprob), rank, text(id)));
  }

  String text(int id) {
    return tokenizer.tokenText(id);
  }

  /** What a chat calls a token. */
  private String called(int id) {
    return byIds ? byId(id) : text(id);
  }

  /** As vLLM writes it. */
  private static String byId(int id) {
    return "token_id:" + id;
  }

  private List<Integer> bytes(int id) {
    byte[] bytes = tokenizer.tokenBytes(id);
    List<Integer> unsigned = new ArrayList<>(bytes.length);
    for (byte b : bytes) {
      unsigned.add(b & 0xff);
    }
    return unsigned;
  }

  static List<Integer> ids(List<TokenResult> tokens) {
    return tokens.stream().map(TokenResult::tokenId).toList();
  }
}
