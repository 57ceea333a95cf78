package io.tercel.trainer.data;

import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.files.JsonLine;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Examples to train on, in an order that is a function of (seed, position) alone, so that a run
 * that goes on needs to know its step and nothing else. All lines are checked when it is opened;
 * only their places are kept.
 *
 * <p>An example that is longer than the bound is cut; one of which then nothing is left to learn is
 * replaced by the next in the order. Any number of threads may take batches; the tokenizer must
 * stay open.
 */
public final class TrainingSet implements AutoCloseable {
  /** Of running text, in tokens, where nothing else is said. */
  private static final int SEQUENCE = 8192;

  private final String name;
  private final ExampleSource source;
  private final Order order;
  private final @Nullable Integer maxLength;
  private final Consumer<String> notices;
  private final Set<Long> cut = new HashSet<>();
  private final Set<Long> empty = new HashSet<>();

  private TrainingSet(String name, ExampleSource source, DataSpec spec, Consumer<String> notices) {
    this.name = name;
    this.source = source;
    this.order = new Order(source.size(), spec.seed());
    this.maxLength = spec.maxLength();
    this.notices = notices;
  }

  /**
   * Opens and checks what a specification names.
   *
   * @param notices hears, once each, in a line: what was dropped, that examples are cut
   * @throws UserException in one line that names file, line, field and mend
   */
  public static TrainingSet open(DataSpec spec, Tokenizer tokenizer, Consumer<String> notices) {
    Integer bound = spec.maxLength();
    if (bound != null && bound < 2) {
      throw new UserException("--max-length: at least 2, not " + bound);
    }
    if (spec.source().startsWith(GeneratedProblems.PREFIX)) {
      ExampleSource problems = GeneratedProblems.of(spec, tokenizer);
      return new TrainingSet(spec.source(), problems, spec, notices);
    }
    LineFiles files =
        LineFiles.open(spec.source(), spec.layout(), (layout, line) -> items(spec, layout, line));
    boolean whole = false;
    try {
      ExampleSource source = source(spec, files, tokenizer);
      if (source.size() == 0) {
        throw new UserException(
            "--data: nothing to learn in any of the %d lines of %s"
                .formatted(files.lines(), spec.source()));
      }
      if (source.dropped() > 0) {
        notices.accept(
            "%s: %d of %d lines have nothing to learn and are left out"
                .formatted(spec.source(), source.dropped(), files.lines()));
      }
      String name = spec.source() + " (" + files.layout().id() + ")";
      TrainingSet set = new TrainingSet(name, source, spec, notices);
      whole = true;
      return set;
    } finally {
      if (!whole) {
        files.close();
      }
    }
  }

  private static int items(DataSpec spec, Layout layout, JsonLine line) {
    return switch (layout) {
      case TEXT -> line.text("text").isBlank() ? 0 : 1;
      case WIKITEXT -> {
        line.text("text");
        yield 1; // Blank rows part what stands around them.
      }
      case ANSWERS ->
          throw line.refuse(
              "solution", "is missing; a problem and its answer alone show no work to learn from");
      case OPENR1, NUMINA, GSM8K, WORKED, MESSAGES ->
          Lessons.of(layout, spec.template()).turns(line);
    };
  }

  private static ExampleSource source(DataSpec spec, LineFiles files, Tokenizer tokenizer) {
    Integer bound = spec.maxLength();
    return switch (files.layout()) {
      case WIKITEXT -> new RunningText(files, tokenizer, bound == null ? SEQUENCE : bound);
      case TEXT -> new FileExamples(files, tokenizer, null);
      default -> new FileExamples(files, tokenizer, Lessons.of(files.layout(), spec.template()));
    };
  }

  /** What the data is, for logs and reports. */
  public String name() {
    return name;
  }

  /** Examples of an epoch; empty where problems are generated without end. */
  public OptionalLong size() {
    return source.size() == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(source.size());
  }

  /** Lines that were left out when the set was opened, for there is nothing to learn in them. */
  public long dropped() {
    return source.dropped();
  }

  /** Different examples so far that were longer than the bound, and lost their ends. */
  public synchronized long truncated() {
    return cut.size();
  }

  /** Different examples so far that had nothing to learn within the bound. */
  public synchronized long skipped() {
    return empty.size();
  }

  /**
   * The batch of a step, from 0 on: positions step·size up to (step + 1)·size.
   *
   * @throws UserException if nothing can be learnt within the bound
   */
  public List<Example> batch(int step, int size) {
    List<Example> batch = new ArrayList<>(size);
    for (int i = 0; i < size; i++) {
      batch.add(at((long) step * size + i));
    }
    return batch;
  }

  private Example at(long position) {
    long most = Math.min(source.size(), 100_000);
    for (long i = 0; i < most; i++) {
      long item = order.item(position, i);
      Optional<Example> example = source.example(item).flatMap(whole -> fit(item, whole));
      if (example.isPresent()) {
        return example.get();
      }
      note(empty, item, "%s: nothing to learn within --max-length; such examples are passed over");
    }
    throw new UserException(
        "--max-length: %s: nothing is left to learn of any of %d examples in %s"
            .formatted(maxLength, most, name));
  }

  /** The example within the bound, if anything is left to learn. */
  private Optional<Example> fit(long item, Example whole) {
    Integer bound = maxLength;
    Example fitting = whole;
    if (bound != null && whole.tokens().length > bound) {
      note(cut, item, "%s: longer than --max-length; such examples lose their ends");
      fitting =
          new Example(Arrays.copyOf(whole.tokens(), bound), Arrays.copyOf(whole.weights(), bound));
    }
    for (int t = 1; t < fitting.weights().length; t++) {
      if (fitting.weights()[t] != 0) {
        return Optional.of(fitting);
      }
    }
    return Optional.empty();
  }

  /** Counts an item once, and speaks of the first. */
  private synchronized void note(Set<Long> items, long item, String notice) {
    if (items.isEmpty()) {
      notices.accept(notice.formatted(source.where(item)));
    }
    items.add(item);
  }

  @Override
  public void close() {
    source.close();
  }
}
