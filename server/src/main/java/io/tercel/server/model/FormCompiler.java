package io.tercel.server.model;

import io.tercel.server.call.ApiException;
import io.tercel.server.grammar.Form;
import io.tercel.server.grammar.Grammar;
import io.tercel.server.grammar.GrammarException;
import io.tercel.server.grammar.TokenAutomaton;
import io.tercel.server.grammar.TokenTrie;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.Tokenizer;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Makes automata of forms for one model's vocabulary and keeps the latest, with the masks that they
 * have found: requests of one form mostly come in rows. Any thread may use it.
 */
public final class FormCompiler {
  private static final int MAX_KEPT = 16;
  private static final int MAX_KEPT_NODES = 4 * 32_768;

  private final Tokenizer tokenizer;
  private final Set<Integer> endTokens;
  private final @Nullable Markers markers;
  private final Map<Form, Kept> kept = new LinkedHashMap<>(32, 0.75f, true);
  private int keptNodes;
  private @Nullable Words words;

  private record Kept(TokenAutomaton automaton, int nodes) {}

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Words(byte[][] texts, TokenTrie trie) {}

  /**
   * For a model.
   *
   * @param endTokens that end an answer
   * @param markers around a thought; never written within a form where they are tokens
   */
  public FormCompiler(Tokenizer tokenizer, Set<Integer> endTokens, @Nullable Markers markers) {
    this.tokenizer = tokenizer;
    this.endTokens = Set.copyOf(endTokens);
    this.markers = markers;
  }

  /**
   * The automaton of a form. Takes a while the first time; meant for the request's own thread.
   *
   * @throws ApiException if the form is refused, or the tokenizer's tokens don't add up to text
   */
  public TokenAutomaton automaton(Form form) {
    synchronized (kept) {
      Kept known = kept.get(form);
      if (known != null) {
        return known.automaton();
      }
    }
    if (!tokenizer.joinsTokens()) {
      throw ApiException.unsupported(
          form.path(), form.path() + " needs a model whose tokens are bytes of text as they are");
    }
    try {
      Words w = words();
      Grammar grammar = form.compile();
      TokenAutomaton automaton =
          new TokenAutomaton(grammar, w.trie(), w.texts(), endTokens, form.path());
      keep(form, new Kept(automaton, grammar.numNodes()));
      return automaton;
    } catch (GrammarException e) {
      throw ApiException.unsupported(e.path(), e.path() + " " + e.reason());
    }
  }

  private void keep(Form form, Kept automaton) {
    synchronized (kept) {
      Kept before = kept.put(form, automaton);
      keptNodes += automaton.nodes() - (before == null ? 0 : before.nodes());
      Iterator<Kept> oldest = kept.values().iterator();
      while (kept.size() > MAX_KEPT || (keptNodes > MAX_KEPT_NODES && kept.size() > 1)) {
        keptNodes -= oldest.next().nodes();
        oldest.remove();
      }
    }
  }

  private synchronized Words words() {
    Words known = words;
    if (known == null) {
      byte[][] texts = new byte[tokenizer.vocabSize()][];
      for (int id = 0; id < texts.length; id++) {
        texts[id] = mayStandInAnswer(id) ? tokenizer.tokenBytes(id) : new byte[0];
      }
      known = new Words(texts, new TokenTrie(texts.length, id -> texts[id]));
      words = known;
    }
    return known;
  }

  private boolean mayStandInAnswer(int id) {
    boolean marker = markers != null && (id == markers.openId() || id == markers.closeId());
    return !marker && !tokenizer.isSpecial(id) && !endTokens.contains(id);
  }
}
