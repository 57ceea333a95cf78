package io.tercel.server.call;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * What the engine did for a call: tokens, and when. A call may have several prompts and choices,
 * which are read by several threads; the times are those of whichever was first, or last.
 * Thread-safe.
 */
public final class CallUsage {
  private final Set<String> stops = new LinkedHashSet<>();
  private int choices;
  private long promptTokens;
  private long cachedTokens;
  private long completionTokens;
  private long reasoningTokens;
  private long queuedNanos = -1;
  private long started = -1;
  private long firstToken = -1;
  private long lastToken = -1;
  private long weightVersion = -1;

  /** A prompt was submitted, to be continued so many times. */
  public synchronized void submitted(int tokens, int n) {
    promptTokens += tokens;
    choices += n;
  }

  /** A choice left the engine's queue, in which it was so long. */
  public synchronized void started(long now, long nanos) {
    if (started < 0) {
      started = now;
      queuedNanos = nanos;
    }
  }

  /** A choice has a token more. */
  public synchronized void token(long now, long version) {
    if (firstToken < 0) {
      firstToken = now;
    }
    lastToken = now;
    weightVersion = Math.max(weightVersion, version);
  }

  /** A choice has ended. */
  public synchronized void finished(String reason) {
    stops.add(reason);
  }

  /** All of a prompt's choices were read, as far as they went. */
  public synchronized void read(long cached, long completion, long reasoning) {
    cachedTokens += cached;
    completionTokens += completion;
    reasoningTokens += reasoning;
  }

  /** 0 where nothing came so far as to be submitted. */
  public synchronized int choices() {
    return choices;
  }

  public synchronized long promptTokens() {
    return promptTokens;
  }

  public synchronized long cachedTokens() {
    return cachedTokens;
  }

  public synchronized long completionTokens() {
    return completionTokens;
  }

  public synchronized long reasoningTokens() {
    return reasoningTokens;
  }

  /** How its choices ended, each way once. */
  public synchronized Set<String> stops() {
    return new LinkedHashSet<>(stops);
  }

  /** In the engine's queue; -1 where none left it. */
  public synchronized long queuedNanos() {
    return queuedNanos;
  }

  /** When the first left the queue, by {@link System#nanoTime}; -1 where none did. */
  public synchronized long started() {
    return started;
  }

  /** When the first token came, by {@link System#nanoTime}; -1 where none did. */
  public synchronized long firstToken() {
    return firstToken;
  }

  /** When the last token came, by {@link System#nanoTime}; -1 where none did. */
  public synchronized long lastToken() {
    return lastToken;
  }

  /** Of the newest weights that made a token; -1 where there is none. */
  public synchronized long weightVersion() {
    return weightVersion;
  }
}
