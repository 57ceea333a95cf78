package io.tercel.server.answer;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.text.ToolCallParser.CallDelta;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a choice gained: text that is final and the tokens behind it.
 *
 * @param reasoning text of the thought, may be empty
 * @param text of the answer, may be empty
 * @param calls what the tool calls gained, may be empty
 * @param tokens since the last delta
 * @param end null while the choice goes on
 */
public record ChoiceDelta(
    int choice,
    String reasoning,
    String text,
    List<CallDelta> calls,
    List<TokenResult> tokens,
    @Nullable ChoiceEnd end) {}
