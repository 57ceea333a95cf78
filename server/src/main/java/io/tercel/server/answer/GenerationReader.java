package io.tercel.server.answer;

import io.tercel.server.call.ApiException;
import io.tercel.server.call.Caller;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.EngineEvent.Failed;
import io.tercel.server.engine.EngineEvent.Finished;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.engine.EngineEvent.Started;
import io.tercel.server.engine.EngineEvent.Token;
import io.tercel.server.engine.Generation;
import io.tercel.server.metrics.ServerMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes the events of one generation until all its choices have ended and makes deltas of them, for
 * streamed and whole answers alike. Used by one thread.
 */
public final class GenerationReader {
  private static final Logger log = LoggerFactory.getLogger(GenerationReader.class);

  private final Generation generation;
  private final List<ChoiceReader> choices;
  private final ChoiceClock[] clocks;
  private final ServerMetrics metrics;
  private final Caller caller;
  private final List<BrokenChoice> broken = new ArrayList<>();
  private LongConsumer weightVersions = _ -> {};
  private int cachedTokens;

  /** Kept keys of a choice that were lost. */
  public record BrokenChoice(int choice, EngineEvent.BrokenKv kv) {}

  /** Gets what the reader reads. */
  public interface Sink {

    /** The engine has begun with a choice. */
    default void started(Started started) {}

    /** The prompt's scores, before any delta, where they were asked for. */
    default void promptScored(PromptScored scores) {}

    /**
     * A token as it was drawn, before the delta that it goes with.
     *
     * @param thinking whether it belongs to the thought, as the markers around that do
     */
    default void token(Token token, boolean thinking) {}

    void delta(ChoiceDelta delta);
  }

  /**
   * A reader for all choices of a generation.
   *
   * @param arrived when the request came, by {@link System#nanoTime}
   */
  GenerationReader(
      Generation generation,
      List<ChoiceReader> choices,
      ServerMetrics metrics,
      Caller caller,
      long arrived) {
    this.generation = generation;
    this.choices = choices;
    this.metrics = metrics;
    this.caller = caller;
    this.clocks = new ChoiceClock[choices.size()];
    for (int i = 0; i < clocks.length; i++) {
      clocks[i] = new ChoiceClock(metrics, caller.record().usage(), arrived);
    }
  }

  /** Tells whose weights made each token, before its delta. */
  public GenerationReader tellingVersions(LongConsumer versions) {
    weightVersions = versions;
    return this;
  }

  /**
   * Reads to the end.
   *
   * @throws ApiException if the engine failed or shuts down
   * @throws ClientGoneException if nobody reads any more
   */
  public void readAll(Sink sink) throws InterruptedException {
    boolean ended = false;
    try {
      for (int open = choices.size(); open > 0; ) {
        EngineEvent event = generation.take();
        if (caller.gone()) {
          throw new ClientGoneException("the client closed");
        }
        caller.record().requireActive();
        switch (event) {
          case Started started -> {
            started(started);
            sink.started(started);
          }
          case PromptScored scores -> sink.promptScored(scores);
          case Token token -> token(token, sink);
          case Finished finished -> {
            open--;
            finished(finished, sink);
          }
          case Failed failed -> {
            countUnfinished("error");
            throw failure(failed);
          }
        }
      }
      ended = true;
    } finally {
      if (!ended) {
        generation.cancel();
        countUnfinished("abort");
      }
      caller.record().usage().read(cachedTokens, numTokens(), reasoningTokens());
    }
  }

  private ApiException failure(Failed failed) {
    log.error("request {} failed: {}", generation.id(), failed.message());
    return failed.closing()
        ? ApiException.unavailable(failed.message()) // elsewhere, or later, it may work
        : ApiException.failed(failed.message());
  }

  private void started(Started started) {
    clocks[started.choice()].started(started.queuedNanos());
    if (started.choice() == 0) { // what the others share is this one's work, not an earlier one's
      cachedTokens = started.cachedTokens();
    }
  }

  private void token(Token token, Sink sink) {
    ChoiceReader choice = choices.get(token.choice());
    if (choice.end() != null) {
      return;
    }
    clocks[token.choice()].token(token.weightVersion());
    weightVersions.accept(token.weightVersion());
    boolean wasThinking = choice.thinking();
    ChoiceDelta delta = choice.token(token);
    sink.token(token, wasThinking || choice.thinking());
    if (delta == null) {
      return;
    }
    if (delta.end() != null) { // by a stop string, which the engine knows nothing of
      generation.stop(token.choice());
      clocks[token.choice()].finished(delta.end().finishReason(), choice.numTokens());
    }
    sink.delta(delta);
  }

  private void finished(Finished finished, Sink sink) {
    finished.brokenKv().forEach(kv -> broken.add(new BrokenChoice(finished.choice(), kv)));
    ChoiceReader choice = choices.get(finished.choice());
    ChoiceDelta delta = choice.finished(finished);
    if (delta != null && delta.end() != null) {
      clocks[finished.choice()].finished(delta.end().finishReason(), choice.numTokens());
      sink.delta(delta);
    }
  }

  private void countUnfinished(String reason) {
    for (int i = 0; i < clocks.length; i++) {
      clocks[i].finished(reason, choices.get(i).numTokens());
    }
  }

  /** Ends it early, from any thread; its own thread still reads to the end. */
  public void cancel() {
    generation.cancel();
  }

  /** Each time that keys which were to be kept were lost; complete once all is read. */
  public List<BrokenChoice> brokenKv() {
    return broken;
  }

  /** Prompt tokens that the prefix cache had from earlier requests. */
  public int cachedTokens() {
    return cachedTokens;
  }

  public int numTokens() {
    return choices.stream().mapToInt(ChoiceReader::numTokens).sum();
  }

  public int reasoningTokens() {
    return choices.stream().mapToInt(ChoiceReader::reasoningTokens).sum();
  }
}
