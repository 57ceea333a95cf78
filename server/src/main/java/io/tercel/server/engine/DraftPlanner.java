package io.tercel.server.engine;

import io.tercel.server.engine.Scheduler.Chunk;
import io.tercel.server.engine.speculation.Drafting;
import io.tercel.server.engine.speculation.Speculation;
import io.tercel.server.engine.speculation.Speculator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Adds drafts to a step: tokens that sequences in decode may say next, so that one step says
 * several where they come true. What is drawn behind a drafted token is what would be drawn there
 * anyhow, to the bit, since a row depends on nothing but the tokens before it; a draft changes how
 * many steps it takes.
 *
 * <p>Drafts get what is left: tokens of the step's budget, and blocks that nobody holds. They end
 * before a token that ends the choice, at the choice's last token, and before one that its form
 * does not allow; where the form allows one token alone, that is the draft, and so are tokens that
 * follow by force. Owned by the engine thread.
 */
final class DraftPlanner {
  private final Speculation settings;
  private final Speculator speculator;
  private final BlockManager blocks;
  private final Set<Integer> eosTokenIds;
  private final StepRows rows;
  private final int maxModelLen;
  private final int maxNumBatchedTokens;
  private final Map<Sequence, Drafting> draftings = new IdentityHashMap<>();
  private final int[] drafted = new int[Speculation.MOST];
  private final double[] chances = new double[Speculation.MOST];
  private long drafts;
  private long draftTokens;
  private final long[] accepted = new long[Speculation.MOST]; // by place in the draft

  DraftPlanner(EngineConfig config, BlockManager blocks, StepRows rows, int maxModelLen) {
    this.settings = config.speculation();
    this.speculator = new Speculator(settings);
    this.blocks = blocks;
    this.eosTokenIds = config.model().eosTokenIds();
    this.rows = rows;
    this.maxModelLen = maxModelLen;
    this.maxNumBatchedTokens = config.maxNumBatchedTokens();
  }

  /** The same chunks, with drafts where they pay. */
  List<Chunk> plan(List<Chunk> chunks) {
    if (!settings.isOn()) {
      return chunks;
    }
    int sampled = 0;
    int numRows = 0;
    for (Chunk chunk : chunks) {
      sampled += chunk.samples() ? 1 : 0;
      numRows += chunk.count();
    }
    speculator.beginStep(sampled, numRows);
    List<Chunk> planned = new ArrayList<>(chunks.size());
    for (Chunk chunk : chunks) {
      Sequence s = chunk.sequence();
      int most = Math.min(room(s), maxNumBatchedTokens - numRows);
      int count = s.numNewTokens() == 1 && most > 0 ? draft(s, most) : 0;
      numRows += count;
      planned.add(count == 0 ? chunk : new Chunk(s, chunk.count(), Arrays.copyOf(drafted, count)));
    }
    return planned;
  }

  /** The longest draft whose last row may still draw a token. */
  private int room(Sequence s) {
    int left = s.params().ending().maxTokens() - s.numGeneratedTokens();
    return Math.min(settings.maxTokens(), Math.min(left, maxModelLen - s.numTokens()) - 1);
  }

  private int draft(Sequence s, int most) {
    int count = guess(s, most);
    while (count > 0 && !blocks.allocate(s, s.numTokens() + count)) {
      count--;
    }
    for (int i = 0; i < count; i++) {
      speculator.add(chances[i]);
    }
    drafts += count > 0 ? 1 : 0;
    draftTokens += count;
    return count;
  }

  /** Fills {@code drafted} and {@code chances}. */
  private int guess(Sequence s, int most) {
    Drafting drafting = draftings.computeIfAbsent(s, _ -> speculator.drafting(s.numPromptTokens()));
    int worth = drafting.draft(s.tokens(), s.numTokens(), most);
    Lookahead ahead = new Lookahead(s, drafted);
    double chance = 1;
    boolean asGuessed = true;
    int count = 0;
    while (count < most) {
      int guess = asGuessed && count < worth ? drafting.token(count) : -1;
      int next = possible(ahead, guess);
      if (next < 0 || ends(s, next)) {
        break;
      }
      if (next != guess) { // it is certain
        asGuessed = false;
        if (!speculator.pays(chance)) {
          break;
        }
      } else if (ahead.forcedToken() < 0) {
        chance = drafting.chance(count);
      }
      drafted[count] = next;
      chances[count++] = chance;
      ahead.advance();
    }
    return count;
  }

  /** The guess, or else the only token that may come; -1 where the guess may not. */
  private int possible(Lookahead ahead, int guess) {
    if (ahead.forcedToken() >= 0) {
      return ahead.forcedToken();
    }
    FormWatch form = ahead.form();
    long[] allowed = form == null ? null : form.allowed(rows.forbidden(ahead));
    if (allowed == null) {
      return guess;
    }
    boolean may =
        guess >= 0 && guess >> 6 < allowed.length && (allowed[guess >> 6] >>> guess & 1) != 0;
    return may ? guess : onlyOne(allowed);
  }

  private static int onlyOne(long[] allowed) {
    int only = -1;
    for (int i = 0; i < allowed.length; i++) {
      if (allowed[i] == 0) {
        continue;
      }
      if (only >= 0 || (allowed[i] & allowed[i] - 1) != 0) {
        return -1;
      }
      only = i * 64 + Long.numberOfTrailingZeros(allowed[i]);
    }
    return only;
  }

  private boolean ends(Sequence s, int token) {
    SamplingParams.Ending ending = s.params().ending();
    return ending.stopTokenIds().contains(token)
        || (!ending.ignoreEos() && eosTokenIds.contains(token));
  }

  /** So many of a draft's tokens came true. */
  void accepted(int count) {
    for (int i = 0; i < count; i++) {
      accepted[i]++;
    }
  }

  /** A step of so many rows took so long, its drafts' making included. */
  void stepTook(int numRows, long nanos) {
    speculator.stepTook(numRows, nanos);
  }

  /** The sequence has ended. */
  void end(Sequence s) {
    Drafting drafting = draftings.remove(s);
    if (drafting != null) {
      drafting.end(s.tokens(), s.numTokens());
    }
  }

  EngineStats.Drafts stats() {
    return new EngineStats.Drafts(
        drafts, draftTokens, Arrays.stream(accepted, 0, settings.maxTokens()).boxed().toList());
  }
}
