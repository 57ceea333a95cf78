package io.tercel.trainer.data;

import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * Rows of one running text, joined by empty lines as perplexity and calibration on Wikitext have
 * it, and cut into sequences of equal length; the last may be shorter. Pieces of text are tokenized
 * when they are opened, to be counted, and again when they are asked for.
 */
final class RunningText implements ExampleSource {
  /** Characters after which a piece may end; it ends before a row that is not blank. */
  private static final int PIECE = 1 << 14;

  private static final String JOINT = "\n\n";

  private final LineFiles files;
  private final Tokenizer tokenizer;
  private final int length;
  private final List<Integer> firstRows = new ArrayList<>();
  private final List<Long> firstTokens = new ArrayList<>();
  private final long tokens;

  /**
   * @param length tokens of a sequence
   */
  RunningText(LineFiles files, Tokenizer tokenizer, int length) {
    this.files = files;
    this.tokenizer = tokenizer;
    this.length = length;
    StringBuilder text = new StringBuilder();
    long count = 0;
    int first = 0;
    for (int row = 0; row < files.size(); row++) {
      String next = row(row);
      if (text.length() >= PIECE && !next.isBlank()) {
        count += add(first, count, text);
        first = row;
        text.setLength(0);
      }
      text.append(next).append(JOINT);
    }
    tokens = count + add(first, count, text);
    if (tokens < 2) {
      throw new UserException("--data: there is no text in " + files.where(0) + " and on");
    }
  }

  private int add(int row, long before, StringBuilder text) {
    firstRows.add(row);
    firstTokens.add(before);
    return tokenizer.encode(text.toString(), false).length;
  }

  private String row(int row) {
    return files.line(files.item(row)).text("text");
  }

  @Override
  public long size() {
    long whole = tokens / length;
    return whole + (tokens % length >= 2 ? 1 : 0);
  }

  @Override
  public Optional<Example> example(long item) {
    long from = item * length;
    int[] sequence = new int[(int) Math.min(length, tokens - from)];
    int piece = pieceOf(from);
    int filled = 0;
    while (filled < sequence.length) {
      int[] ids = tokenizer.encode(text(piece), false);
      int skipped = (int) Math.max(0, from - firstTokens.get(piece));
      int taken = Math.min(ids.length - skipped, sequence.length - filled);
      System.arraycopy(ids, skipped, sequence, filled, taken);
      filled += taken;
      piece++;
    }
    return FileExamples.document(sequence);
  }

  private int pieceOf(long token) {
    int at = Collections.binarySearch(firstTokens, token);
    return at >= 0 ? at : -at - 2;
  }

  private String text(int piece) {
    int end = piece + 1 < firstRows.size() ? firstRows.get(piece + 1) : files.size();
    StringBuilder text = new StringBuilder();
    for (int row = firstRows.get(piece); row < end; row++) {
      text.append(row(row)).append(JOINT);
    }
    return text.toString();
  }

  @Override
  public String where(long item) {
    return files.where(firstRows.get(pieceOf(item * length)));
  }

  @Override
  public long dropped() {
    return 0;
  }

  @Override
  public void close() {
    files.close();
  }
}
