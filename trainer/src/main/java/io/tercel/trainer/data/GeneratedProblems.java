package io.tercel.trainer.data;

import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.problems.Family;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.problems.ProblemMix;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An endless supply of generated problems, as {@code problems:FAMILY[=WEIGHT],…} names it: {@code
 * problems:add,sub=2}. {@code style-b=SHARE} is how many are worked in the other author's style (a
 * tenth if it is not said), and {@code q} is short for the five families of chains with a quarter
 * of them, the mix on which distillation is told from fine-tuning.
 */
final class GeneratedProblems implements ExampleSource {
  static final String PREFIX = "problems:";
  private static final String STYLE = "style-b";
  private static final String MIX_Q = "parts,mod,wallet,sum,base," + STYLE + "=0.25";

  private final ProblemMix mix;
  private final long seed;
  private final Partition partition;
  private final TurnEncoder encoder;

  private GeneratedProblems(DataSpec spec, TurnEncoder encoder) {
    this.mix = mix(spec.source());
    this.seed = spec.seed();
    this.partition = spec.heldOut() ? Partition.HELD_OUT : Partition.TRAINING;
    this.encoder = encoder;
  }

  /**
   * The problems of a source.
   *
   * @throws UserException naming what in it can't be read
   */
  static GeneratedProblems of(DataSpec spec, Tokenizer tokenizer) {
    return new GeneratedProblems(spec, TurnEncoder.of(tokenizer));
  }

  private static ProblemMix mix(String source) {
    String named = source.substring(PREFIX.length()).strip();
    Map<String, Double> weights = new LinkedHashMap<>();
    @Nullable Double style = null;
    for (String part :
        (named.toLowerCase(Locale.ROOT).equals("q") ? MIX_Q : named).split(",", -1)) {
      int equals = part.indexOf('=');
      String name = (equals < 0 ? part : part.substring(0, equals)).strip();
      double value = equals < 0 ? 1 : number(source, part.substring(equals + 1).strip());
      if (name.equals(STYLE)) {
        style = value;
      } else {
        weights.merge(name, value, Double::sum);
      }
    }
    try {
      ProblemMix mix = ProblemMix.of(weights);
      return style == null ? mix : mix.withOtherStyle(style);
    } catch (IllegalArgumentException e) {
      throw new UserException("--data: " + source + ": " + e.getMessage(), e);
    }
  }

  private static double number(String source, String text) {
    try {
      return Double.parseDouble(text);
    } catch (NumberFormatException e) {
      throw new UserException("--data: " + source + ": " + text + " is no number", e);
    }
  }

  @Override
  public long size() {
    return Long.MAX_VALUE;
  }

  /** The problem of an item. */
  Problem problem(long item) {
    return mix.draw(seed, partition, item, Family.FULL);
  }

  int[] prompt(Problem problem, String where) {
    return encoder.prompt(TrainedTurn.of(problem.question(), null, "").before(), where);
  }

  @Override
  public Optional<Example> example(long item) {
    Problem problem = problem(item);
    return Optional.of(
        encoder.encode(
            TrainedTurn.of(problem.question(), problem.thinking(), problem.reply()), where(item)));
  }

  @Override
  public String where(long item) {
    return "problem " + item;
  }

  @Override
  public long dropped() {
    return 0;
  }

  @Override
  public void close() {}
}
