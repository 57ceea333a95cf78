package io.tercel.server.model;

import io.tercel.kernels.format.GenerationDefaults;
import io.tercel.server.engine.Engine;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.PromptThought;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.Tokenizer;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model as requests need it: text on both sides of an engine.
 *
 * @param chatTemplate null for a model that has none; chat is refused then
 * @param eosTokenIds the model's own end tokens, the same that the engine has
 * @param markers around a thought; null for a model that doesn't think aloud
 * @param maxModelLen prompt and output tokens together
 * @param reasoning bounds of a thought where the request has none
 * @param created when it was loaded
 * @param offHeapBytes what it holds outside the heap, by region
 * @param forms makes automata for answers that must have a form
 */
public record ServedModel(
    Tokenizer tokenizer,
    @Nullable ChatTemplate chatTemplate,
    Engine engine,
    GenerationDefaults defaults,
    Set<Integer> eosTokenIds,
    @Nullable Markers markers,
    int maxModelLen,
    ReasoningDefaults reasoning,
    Instant created,
    Map<String, Long> offHeapBytes,
    FormCompiler forms) {

  public ServedModel {
    eosTokenIds = Set.copyOf(eosTokenIds);
    offHeapBytes = Map.copyOf(offHeapBytes);
  }

  /** How far a prompt has come with its thought. */
  public PromptThought thoughtOf(int[] prompt) {
    return PromptThought.of(tokenizer, markers, eosTokenIds, prompt);
  }

  /** With a compiler of its own. */
  public ServedModel(
      Tokenizer tokenizer,
      @Nullable ChatTemplate chatTemplate,
      Engine engine,
      GenerationDefaults defaults,
      Set<Integer> eosTokenIds,
      @Nullable Markers markers,
      int maxModelLen,
      ReasoningDefaults reasoning,
      Instant created,
      Map<String, Long> offHeapBytes) {
    this(
        tokenizer,
        chatTemplate,
        engine,
        defaults,
        eosTokenIds,
        markers,
        maxModelLen,
        reasoning,
        created,
        offHeapBytes,
        new FormCompiler(tokenizer, eosTokenIds, markers));
  }
}
