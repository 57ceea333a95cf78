package io.tercel.trainer.data;

import io.tercel.trainer.eval.PromptTemplate;
import org.jspecify.annotations.Nullable;

/**
 * Which data, and how it is read.
 *
 * @param source a JSONL file, a folder of them, or {@code problems:FAMILY[=WEIGHT],…}, of which
 *     {@link GeneratedProblems} says more
 * @param layout what a line holds; null to tell by its fields
 * @param seed of the order
 * @param maxLength tokens of an example, at most; null is no bound, but 8,192 where running text is
 *     cut into sequences
 * @param template around each problem that comes without messages; null asks for steps and {@code
 *     \boxed{}} as evaluation does, and leaves generated problems as they are
 * @param heldOut whether generated problems come from the set that training never sees
 */
public record DataSpec(
    String source,
    @Nullable Layout layout,
    long seed,
    @Nullable Integer maxLength,
    @Nullable PromptTemplate template,
    boolean heldOut) {

  /** A source with seed 1 and no bound. */
  public static DataSpec of(String source) {
    return new DataSpec(source, null, 1, null, null, false);
  }

  public DataSpec withLayout(@Nullable Layout value) {
    return new DataSpec(source, value, seed, maxLength, template, heldOut);
  }

  public DataSpec withSeed(long value) {
    return new DataSpec(source, layout, value, maxLength, template, heldOut);
  }

  public DataSpec withMaxLength(@Nullable Integer value) {
    return new DataSpec(source, layout, seed, value, template, heldOut);
  }

  public DataSpec withTemplate(@Nullable PromptTemplate value) {
    return new DataSpec(source, layout, seed, maxLength, value, heldOut);
  }

  /** Generated problems from the set that training never sees. */
  public DataSpec forEvaluation() {
    return new DataSpec(source, layout, seed, maxLength, template, true);
  }
}
