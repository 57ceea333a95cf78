package io.tercel.server.request;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.EngineEvent.PromptScored;
import io.tercel.server.engine.EngineEvent.Started;
import io.tercel.server.engine.EngineEvent.Token;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The memory that answers take which are kept until they are whole: their scored tokens, all
 * requests together. A streamed answer keeps none.
 */
public final class GatheredTokens {
  /** Of a token that is kept, and of each alternative that it lists. */
  private static final int TOKEN_BYTES = 64;

  private static final int TOP_BYTES = 32;

  private final long limit;
  private final AtomicLong used = new AtomicLong();

  /** An eighth of the heap, as much as all bodies may hold. */
  public GatheredTokens() {
    this(Runtime.getRuntime().maxMemory() / 8);
  }

  public GatheredTokens(long limit) {
    this.limit = limit;
  }

  /** Bytes that are held now. */
  public long used() {
    return used.get();
  }

  /** What one request holds, until it is closed. */
  public final class Share implements AutoCloseable {
    private final AtomicLong bytes = new AtomicLong();

    /**
     * Counts what the sink is given as held.
     *
     * @param kept whether it keeps the tokens
     */
    public GenerationReader.Sink counting(GenerationReader.Sink sink, boolean kept) {
      return new GenerationReader.Sink() {
        @Override
        public void started(Started started) {
          sink.started(started);
        }

        @Override
        public void promptScored(PromptScored scores) {
          hold(scores.tokens());
          sink.promptScored(scores);
        }

        @Override
        public void token(Token token, boolean thinking) {
          sink.token(token, thinking);
        }

        @Override
        public void delta(ChoiceDelta delta) {
          if (kept) {
            hold(delta.tokens());
          }
          sink.delta(delta);
        }
      };
    }

    private void hold(List<TokenResult> tokens) {
      long more = 0;
      for (TokenResult token : tokens) {
        more += TOKEN_BYTES + (long) TOP_BYTES * token.top().size();
      }
      bytes.addAndGet(more);
      if (used.addAndGet(more) > limit) {
        throw ApiException.unavailable(
            "Answers that are kept until they are whole hold too many log-probs: ask for fewer, or"
                + " with stream: true, or try again later.");
      }
    }

    @Override
    public void close() {
      used.addAndGet(-bytes.getAndSet(0));
    }
  }

  /** Of a new request. */
  public Share share() {
    return new Share();
  }
}
