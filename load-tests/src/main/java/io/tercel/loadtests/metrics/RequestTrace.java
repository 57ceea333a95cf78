package io.tercel.loadtests.metrics;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One request as its client saw it. Times are readings of {@link System#nanoTime}. Whoever reads
 * the answer writes it; after its end nothing changes it any more. Safe for many threads.
 *
 * <p>Latencies count from the <em>intended</em> time, which in an open loop is the arrival drawn
 * beforehand: a client that comes late, because the server or the machine was slow, must not make
 * the server look fast (coordinated omission). In a closed loop it is the moment of sending.
 */
public final class RequestTrace {
  /** How a client behaves. */
  public enum Client {
    /** Reads its answer as fast as it comes. */
    PATIENT,
    /** Leaves in the middle. */
    LEAVER,
    /** Reads far slower than the server writes. */
    SLOW_READER
  }

  /** How a request ended. */
  public enum Ending {
    RUNNING,
    COMPLETED,
    /** The client left as it had planned. */
    LEFT,
    FAILED
  }

  /**
   * What a request is told apart by.
   *
   * @param serviceClass empty for none
   * @param turn of its session, from 1; 0 outside of one
   */
  public record Label(String serviceClass, int turn) {
    public static final Label NONE = new Label("", 0);
  }

  private static final long UNSET = Long.MIN_VALUE;

  private final long index;
  private final Client client;
  private final long intended;
  private final Label label;
  private final @Nullable StringBuilder text;
  private final StringBuilder answerText = new StringBuilder();
  private long sent;
  private long firstAnswer = UNSET;
  private long last = UNSET;
  private long end = UNSET;
  private long[] tokenTimes = new long[16];
  private int tokenEvents;
  private int promptTokens;
  private int cachedTokens;
  private int outputTokens = -1;
  private int reasoningTokens;
  private Ending ending = Ending.RUNNING;
  private @Nullable Failure failure;

  /**
   * A request that is about to be sent.
   *
   * @param keepText keep what is generated
   */
  public RequestTrace(long index, Client client, long intended, boolean keepText) {
    this(index, client, Label.NONE, intended, keepText);
  }

  /**
   * A request that is about to be sent.
   *
   * @param label what it is told apart by
   * @param keepText keep what is generated
   */
  public RequestTrace(long index, Client client, Label label, long intended, boolean keepText) {
    this.label = label;
    this.index = index;
    this.client = client;
    this.intended = intended;
    this.sent = intended;
    this.text = keepText ? new StringBuilder() : null;
  }

  /** It goes out now. */
  public synchronized void sent(long nanos) {
    sent = nanos;
  }

  /**
   * One or more tokens came together.
   *
   * @param answer not (only) thinking
   */
  public synchronized void tokens(long nanos, boolean answer) {
    if (end != UNSET) {
      return;
    }
    if (tokenEvents == tokenTimes.length) {
      tokenTimes = Arrays.copyOf(tokenTimes, 2 * tokenEvents);
    }
    tokenTimes[tokenEvents++] = nanos;
    if (answer && firstAnswer == UNSET) {
      firstAnswer = nanos;
    }
    last = nanos;
  }

  /** The answer's last part came, with or without tokens. */
  public synchronized void finish(long nanos) {
    if (end == UNSET) {
      last = nanos;
    }
  }

  /** The server's own count. */
  public synchronized void usage(int prompt, int cached, int output, int reasoning) {
    promptTokens = prompt;
    cachedTokens = cached;
    outputTokens = output;
    reasoningTokens = reasoning;
  }

  /** Keeps generated text, if that is wanted: of a thought, then of an answer. */
  public synchronized void text(String thought, String answer) {
    if (text != null && end == UNSET) {
      text.append(thought).append(answer);
      answerText.append(answer);
    }
  }

  public boolean keepsText() {
    return text != null;
  }

  /** The answer is whole. */
  public synchronized void completed(long nanos) {
    if (end == UNSET) {
      end(nanos, Ending.COMPLETED);
      if (tokenEvents == 0 && outputTokens > 0) {
        // Tokens that show no text, such as special ones: the end is the first that anybody sees.
        tokenTimes[tokenEvents++] = last;
      }
    }
  }

  /** The client left as planned. */
  public synchronized void left(long nanos) {
    if (end == UNSET) {
      end(nanos, Ending.LEFT);
    }
  }

  /** It failed. */
  public synchronized void failed(long nanos, Failure why) {
    if (end == UNSET) {
      end(nanos, Ending.FAILED);
      failure = why;
    }
  }

  private void end(long nanos, Ending how) {
    end = nanos;
    last = last == UNSET ? nanos : last;
    ending = how;
  }

  public long index() {
    return index;
  }

  public Client client() {
    return client;
  }

  public Label label() {
    return label;
  }

  public synchronized Ending ending() {
    return ending;
  }

  public synchronized @Nullable Failure failure() {
    return failure;
  }

  /** When it should have been sent. */
  public long intended() {
    return intended;
  }

  /** When it was sent. */
  public synchronized long sentAt() {
    return sent;
  }

  /** When the answer's last part came, or it ended otherwise. */
  public synchronized long last() {
    return last;
  }

  public synchronized boolean hasTokens() {
    return tokenEvents > 0;
  }

  public synchronized boolean hasAnswer() {
    return firstAnswer != UNSET;
  }

  /** Time to first token, in nanoseconds; only with tokens. */
  public synchronized long ttft() {
    return tokenTimes[0] - intended;
  }

  /** Time to the first token that is not thinking, in nanoseconds; only with an answer. */
  public synchronized long ttfat() {
    return firstAnswer - intended;
  }

  /** End-to-end latency in nanoseconds: to the answer's last part. */
  public synchronized long e2el() {
    return last - intended;
  }

  /** Time per output token after the first, in nanoseconds; 0 for fewer than two tokens. */
  public synchronized double tpot() {
    int tokens = outputTokens();
    return tokens < 2 || tokenEvents == 0 ? 0 : (double) (last - tokenTimes[0]) / (tokens - 1);
  }

  /** How many times tokens came. */
  public synchronized int tokenEvents() {
    return tokenEvents;
  }

  /** When tokens came for that time, from 0. */
  public synchronized long tokenTime(int event) {
    return tokenTimes[event];
  }

  /** Tokens that came together on average: 1, unless the server holds some back. */
  public synchronized double tokensPerEvent() {
    return tokenEvents == 0 ? 0 : (double) outputTokens() / tokenEvents;
  }

  public synchronized int promptTokens() {
    return promptTokens;
  }

  /** Prompt tokens that a prefix cache had. */
  public synchronized int cachedTokens() {
    return cachedTokens;
  }

  /** Generated tokens, thinking included: the server's count, else how many times tokens came. */
  public synchronized int outputTokens() {
    return outputTokens >= 0 ? outputTokens : tokenEvents;
  }

  /** Whether the server counted. */
  public synchronized boolean countedByServer() {
    return outputTokens >= 0;
  }

  public synchronized int reasoningTokens() {
    return reasoningTokens;
  }

  /** What was answered, without thinking; empty if it is not kept. */
  public synchronized String answerText() {
    return answerText.toString();
  }

  /** What was generated, thinking included; empty if it is not kept. */
  public synchronized String generatedText() {
    return text == null ? "" : text.toString();
  }
}
