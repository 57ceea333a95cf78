package io.tercel.loadtests.data;

import java.util.ArrayList;
import java.util.List;

/**
 * Requests as they once came to a server: when, how long, and which prompts began alike. The
 * prompts themselves are random.
 */
public final class TraceDataset implements Dataset {
  private final List<TraceLine> lines;
  private final PromptMaker maker;
  private final int blockTokens;
  private final long seed;

  /**
   * Of these lines, by time.
   *
   * @param blockTokens of a prompt behind each of its hash ids
   */
  public TraceDataset(List<TraceLine> lines, PromptMaker maker, int blockTokens, long seed) {
    if (lines.isEmpty()) {
      throw new IllegalArgumentException("a trace without requests");
    }
    this.lines = List.copyOf(lines);
    this.maker = maker;
    this.blockTokens = blockTokens;
    this.seed = seed;
  }

  /** How many requests it has. */
  public int size() {
    return lines.size();
  }

  /**
   * When they came, in nanoseconds from the first.
   *
   * @param speed how many times faster they shall come
   * @param limit those that come before it, after the speed; at least the first
   */
  public long[] arrivals(double speed, long limit) {
    double start = lines.getFirst().seconds();
    return lines.stream()
        .mapToLong(line -> Math.round((line.seconds() - start) / speed * 1e9))
        .takeWhile(nanos -> nanos < limit)
        .toArray();
  }

  @Override
  public LoadRequest request(long index) {
    TraceLine line = lines.get((int) (index % lines.size()));
    // another time through it, as a warm-up is, has other prompts
    long round = Seeds.derive(seed, "trace", index / lines.size());
    List<PromptMaker.Segment> segments = new ArrayList<>();
    int left = line.inputTokens();
    for (long hash : line.hashIds()) {
      if (left == 0) {
        break;
      }
      int tokens = Math.min(left, blockTokens);
      segments.add(new PromptMaker.Segment(Seeds.derive(round, "block", hash), tokens));
      left -= tokens;
    }
    if (left > 0) {
      segments.add(new PromptMaker.Segment(Seeds.derive(seed, "trace tail", index), left));
    }
    return new LoadRequest(
        index,
        maker.make(segments),
        line.outputTokens(),
        Seeds.derive(seed, "trace sampling", index) >>> 1);
  }
}
