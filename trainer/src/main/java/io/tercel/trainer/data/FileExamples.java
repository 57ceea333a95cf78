package io.tercel.trainer.data;

import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.files.JsonLine;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The turns or documents of JSONL files. */
final class FileExamples implements ExampleSource {
  private final LineFiles files;
  private final Tokenizer tokenizer;
  private final @Nullable TurnEncoder encoder;
  private final @Nullable Lessons lessons;

  /**
   * @param lessons null for documents
   */
  FileExamples(LineFiles files, Tokenizer tokenizer, @Nullable Lessons lessons) {
    this.files = files;
    this.tokenizer = tokenizer;
    this.lessons = lessons;
    this.encoder = lessons == null ? null : TurnEncoder.of(tokenizer);
  }

  @Override
  public long size() {
    return files.size();
  }

  @Override
  public Optional<Example> example(long item) {
    LineIndex.Item at = files.item((int) item);
    JsonLine line = files.line(at);
    if (lessons != null && encoder != null) {
      return Optional.of(encoder.encode(lessons.turn(line, at.part()), line.where()));
    }
    return document(tokenizer.encode(line.text("text"), true));
  }

  /** All tokens of a text as targets. */
  static Optional<Example> document(int[] tokens) {
    if (tokens.length < 2) {
      return Optional.empty();
    }
    float[] weights = new float[tokens.length];
    Arrays.fill(weights, 1);
    return Optional.of(new Example(tokens, weights));
  }

  @Override
  public String where(long item) {
    return files.where((int) item);
  }

  @Override
  public long dropped() {
    return files.dropped();
  }

  @Override
  public void close() {
    files.close();
  }
}
