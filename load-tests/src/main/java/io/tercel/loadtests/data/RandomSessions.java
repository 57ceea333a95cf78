package io.tercel.loadtests.data;

import java.util.ArrayList;
import java.util.List;

/** Sessions of random words. */
public final class RandomSessions implements Sessions {
  private final PromptMaker maker;
  private final long seed;
  private final int turns;
  private final int firstTokens;
  private final int nextTokens;

  /**
   * Sessions of one shape.
   *
   * @param maker of texts
   * @param firstTokens of the first thing said, at least 1: a document, say
   * @param nextTokens of each later one, at least 1
   */
  public RandomSessions(PromptMaker maker, long seed, int turns, int firstTokens, int nextTokens) {
    this.maker = maker;
    this.seed = seed;
    this.turns = turns;
    this.firstTokens = firstTokens;
    this.nextTokens = nextTokens;
  }

  @Override
  public Script script(long index) {
    long session = Seeds.derive(seed, "session", index);
    List<String> said = new ArrayList<>();
    for (int turn = 0; turn < turns; turn++) {
      Prompt prompt =
          maker.make(
              List.of(
                  new PromptMaker.Segment(
                      Seeds.derive(session, "turn", turn), turn == 0 ? firstTokens : nextTokens)));
      if (!(prompt instanceof Prompt.Text text)) {
        throw new IllegalStateException("a session is text");
      }
      said.add(text.text());
    }
    return new Script("", said);
  }
}
