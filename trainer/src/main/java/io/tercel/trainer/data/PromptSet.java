package io.tercel.trainer.data;

import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.files.JsonLine;
import io.tercel.trainer.problems.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * Questions with their right answers, to be answered and rewarded, from the same data and in the
 * same kind of order as {@link TrainingSet}: a function of (seed, position) alone.
 */
public final class PromptSet implements AutoCloseable {
  private final DataSpec spec;
  private final Source source;
  private final Order order;
  private long passedOver;
  private final Consumer<String> notices;

  private PromptSet(DataSpec spec, Source source, Consumer<String> notices) {
    this.spec = spec;
    this.source = source;
    this.order = new Order(source.size(), spec.seed());
    this.notices = notices;
  }

  /**
   * One question.
   *
   * @param id where it stands: file and line, or the number of a generated problem
   * @param tokens of the rendered prompt; the response follows; not to be changed
   * @param answer as {@code AnswerChecker} takes it
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on; never compared
  public record Prompt(String id, int[] tokens, String answer) {}

  /** Prompts by number. */
  private interface Source extends AutoCloseable {
    long size();

    Optional<Prompt> prompt(long item);

    @Override
    void close();
  }

  /**
   * Opens and checks what a specification names; its bound is that of prompts, and longer ones are
   * passed over.
   *
   * @param notices hears, once each, in a line, what is left out
   * @throws UserException in one line that names file, line, field and mend
   */
  public static PromptSet open(DataSpec spec, Tokenizer tokenizer, Consumer<String> notices) {
    if (spec.source().startsWith(GeneratedProblems.PREFIX)) {
      return new PromptSet(spec, generated(spec, tokenizer), notices);
    }
    LineFiles files =
        LineFiles.open(
            spec.source(),
            spec.layout(),
            (layout, line) -> lessons(layout, line, spec).asked(line).isPresent() ? 1 : 0);
    boolean whole = false;
    try {
      if (files.size() == 0) {
        throw new UserException(
            "--data: none of the %d lines of %s has an answer to compare with: add a field answer"
                .formatted(files.lines(), spec.source()));
      }
      if (files.dropped() > 0) {
        notices.accept(
            "%s: %d of %d lines have no answer to compare with and are left out"
                .formatted(spec.source(), files.dropped(), files.lines()));
      }
      PromptSet set = new PromptSet(spec, lines(files, spec, tokenizer), notices);
      whole = true;
      return set;
    } finally {
      if (!whole) {
        files.close();
      }
    }
  }

  private static Lessons lessons(Layout layout, JsonLine line, DataSpec spec) {
    if (layout == Layout.TEXT || layout == Layout.WIKITEXT) {
      throw line.refuse("problem", "is missing; a text asks nothing that could be rewarded");
    }
    return Lessons.of(layout, spec.template());
  }

  private static Source generated(DataSpec spec, Tokenizer tokenizer) {
    GeneratedProblems problems = GeneratedProblems.of(spec, tokenizer);
    return new Source() {
      @Override
      public long size() {
        return problems.size();
      }

      @Override
      public Optional<Prompt> prompt(long item) {
        Problem problem = problems.problem(item);
        String where = problems.where(item);
        return problem.answer().isEmpty()
            ? Optional.empty()
            : Optional.of(new Prompt(where, problems.prompt(problem, where), problem.answer()));
      }

      @Override
      public void close() {
        problems.close();
      }
    };
  }

  private static Source lines(LineFiles files, DataSpec spec, Tokenizer tokenizer) {
    TurnEncoder encoder = TurnEncoder.of(tokenizer);
    Lessons lessons = Lessons.of(files.layout(), spec.template());
    return new Source() {
      @Override
      public long size() {
        return files.size();
      }

      @Override
      public Optional<Prompt> prompt(long item) {
        JsonLine line = files.line(files.item((int) item));
        return lessons
            .asked(line)
            .map(
                asked ->
                    new Prompt(
                        line.where(),
                        encoder.prompt(asked.messages(), line.where()),
                        asked.answer()));
      }

      @Override
      public void close() {
        files.close();
      }
    };
  }

  /** Prompts of an epoch; empty where problems are generated without end. */
  public OptionalLong size() {
    return source.size() == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(source.size());
  }

  /**
   * The prompts of a step, from 0 on.
   *
   * @throws UserException if all are longer than the bound
   */
  public List<Prompt> batch(int step, int size) {
    List<Prompt> batch = new ArrayList<>(size);
    for (int i = 0; i < size; i++) {
      batch.add(at((long) step * size + i));
    }
    return batch;
  }

  private Prompt at(long position) {
    Integer bound = spec.maxLength();
    long most = Math.min(source.size(), 100_000);
    for (long i = 0; i < most; i++) {
      Optional<Prompt> prompt = source.prompt(order.item(position, i));
      if (prompt.isPresent() && (bound == null || prompt.get().tokens().length <= bound)) {
        return prompt.get();
      }
      prompt.ifPresent(longer -> note(longer.id()));
    }
    throw new UserException(
        "--max-length: %s: all of %d prompts in %s are longer"
            .formatted(bound, most, spec.source()));
  }

  private synchronized void note(String where) {
    if (passedOver++ == 0) {
      notices.accept(where + ": longer than --max-length; such prompts are passed over");
    }
  }

  @Override
  public void close() {
    source.close();
  }
}
