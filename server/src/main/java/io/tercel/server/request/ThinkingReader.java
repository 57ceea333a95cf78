package io.tercel.server.request;

import io.tercel.server.call.ApiException;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.Thinking;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.model.ServedModel;
import io.tercel.server.text.PromptThought;
import io.tercel.server.text.ReasoningParser.Markers;
import java.util.Arrays;
import java.util.List;

/** Reads the fields of a request that keep its thought within bounds. */
public final class ThinkingReader {
  private static final String BUDGET = "thinking_token_budget";

  /** What Qwen3's and R1's templates have behind the marker. */
  private static final String AFTER_THOUGHT = "\n\n";

  private final ServedModel model;
  private final int budget;
  private final boolean breakLoops;

  /**
   * Reads and checks them.
   *
   * @param absent what holds where the request doesn't say it
   * @throws ApiException if a budget is asked of a model whose thought can't be closed
   */
  public ThinkingReader(RequestFields fields, ServedModel model, ReasoningDefaults absent) {
    this.model = model;
    int given = fields.integer(BUDGET, -1, -1, Integer.MAX_VALUE); // -1: no limit, as in vLLM
    this.budget = fields.get(BUDGET) == null ? absent.budget() : given;
    this.breakLoops =
        fields.bool("loop_breaker", absent.breakLoops())
            && !fields.bool("ignore_eos", false); // who wants every token to the limit gets it
    if (given >= 0 && !bounds(model)) {
      throw ApiException.unsupported(
          BUDGET, BUDGET + " needs a model that ends its thought with one token, </think>");
    }
  }

  /** Whether a model's thought can be bounded: it ends with one token, and begins with one. */
  public static boolean bounds(ServedModel model) {
    Markers markers = model.markers();
    return markers != null && markers.openId() >= 0 && markers.closeId() >= 0;
  }

  /**
   * The parameters with a watch over thought and loops.
   *
   * @param thought how far the prompt has come with it
   */
  public SamplingParams addTo(SamplingParams params, PromptThought thought) {
    Markers markers = model.markers();
    if (markers == null || !bounds(model)) {
      return params.watching(null, breakLoops);
    }
    // there is one thought: behind it the opening marker is a token like any other
    int openId = thought == PromptThought.CLOSED ? -1 : markers.openId();
    return params.watching(
        new Thinking(
            thought == PromptThought.OPEN, openId, markers.closeId(), budget, closing(markers)),
        breakLoops);
  }

  private List<Integer> closing(Markers markers) {
    int[] ids = model.tokenizer().encode(markers.close() + AFTER_THOUGHT, false);
    List<Integer> closing = Arrays.stream(ids).boxed().toList();
    return closing.contains(markers.closeId()) ? closing : List.of(markers.closeId());
  }
}
