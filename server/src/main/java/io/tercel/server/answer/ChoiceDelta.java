package io.tercel.server.answer;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.text.OutputPart;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a choice gained: text that is final and the tokens behind it.
 *
 * @param parts of the output, in its order
 * @param tokens since the last delta
 * @param weights which ones made those tokens, in their order
 * @param forced places of those that nothing else could have come in place of, among all tokens of
 *     the choice
 * @param end null while the choice goes on
 */
public record ChoiceDelta(
    int choice,
    List<OutputPart> parts,
    List<TokenResult> tokens,
    List<WeightRun> weights,
    List<Integer> forced,
    @Nullable ChoiceEnd end) {

  /** More of the thought, may be empty. */
  public String reasoning() {
    StringBuilder all = new StringBuilder();
    for (OutputPart part : parts) {
      if (part instanceof OutputPart.Thought(String text)) {
        all.append(text);
      }
    }
    return all.toString();
  }

  /** More of the answer's text, may be empty. */
  public String text() {
    StringBuilder all = new StringBuilder();
    for (OutputPart part : parts) {
      if (part instanceof OutputPart.Text(String text)) {
        all.append(text);
      }
    }
    return all.toString();
  }

  /** The tool calls that have become whole. */
  public List<OutputPart.Call> calls() {
    return parts.stream()
        .filter(OutputPart.Call.class::isInstance)
        .map(OutputPart.Call.class::cast)
        .toList();
  }
}
