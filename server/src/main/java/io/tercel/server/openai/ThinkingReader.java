package io.tercel.server.openai;

import io.tercel.server.call.ApiException;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.Thinking;
import io.tercel.server.model.ServedModel;
import io.tercel.server.text.ReasoningParser.Markers;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the fields of a chat request that keep its thought within bounds. */
final class ThinkingReader {
  private static final String BUDGET = "thinking_token_budget";

  /** What Qwen3's and R1's templates have behind the marker. */
  private static final String AFTER_THOUGHT = "\n\n";

  private final ServedModel model;
  private final @Nullable Integer budget;
  private final boolean breakLoops;

  /**
   * Reads and checks them.
   *
   * @throws ApiException if a budget is asked of a model whose thought can't be closed
   */
  ThinkingReader(RequestFields fields, ServedModel model) {
    this.model = model;
    int given = fields.integer(BUDGET, -1, -1, Integer.MAX_VALUE); // -1: no limit, as in vLLM
    this.budget = fields.get(BUDGET) == null ? null : given;
    this.breakLoops =
        fields.bool("loop_breaker", model.reasoning().breakLoops())
            && !fields.bool("ignore_eos", false); // who wants every token to the limit gets it
    if (given >= 0 && closeId() < 0) {
      throw ApiException.unsupported(
          BUDGET, BUDGET + " needs a model that ends its thought with one token, </think>");
    }
  }

  private int closeId() {
    Markers markers = model.markers();
    return markers == null || markers.openId() < 0 ? -1 : markers.closeId();
  }

  /**
   * The parameters with a watch over thought and loops.
   *
   * @param startsThinking whether the prompt leaves the thought open
   */
  SamplingParams addTo(SamplingParams params, boolean startsThinking) {
    Markers markers = model.markers();
    if (markers == null || closeId() < 0) {
      return params.watching(null, breakLoops);
    }
    int limit = budget == null ? model.reasoning().budget() : budget;
    return params.watching(
        new Thinking(startsThinking, markers.openId(), markers.closeId(), limit, closing(markers)),
        breakLoops);
  }

  private List<Integer> closing(Markers markers) {
    int[] ids = model.tokenizer().encode(markers.close() + AFTER_THOUGHT, false);
    List<Integer> closing = Arrays.stream(ids).boxed().toList();
    return closing.contains(markers.closeId()) ? closing : List.of(markers.closeId());
  }
}
