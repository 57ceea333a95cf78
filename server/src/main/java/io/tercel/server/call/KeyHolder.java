package io.tercel.server.call;

import io.tercel.server.engine.ServiceClass;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Whoever has a key, by the key's name: what that allows, how much of it is left this minute, what
 * was asked with it, and which calls run. Thread-safe.
 */
public final class KeyHolder {
  private final String name;
  private final RateBucket requests;
  private final RateBucket tokens;
  private final Set<CallRecord> running = ConcurrentHashMap.newKeySet();
  private final Counts counts = new Counts();
  private volatile KeyTerms terms;
  private volatile boolean revoked;

  /** What was asked with a key since the server began, or since the key was there. */
  public static final class Counts {
    private final LongAdder requests = new LongAdder();
    private final LongAdder promptTokens = new LongAdder();
    private final LongAdder generatedTokens = new LongAdder();
    private final LongAdder overRequests = new LongAdder();
    private final LongAdder overTokens = new LongAdder();

    /** Those that were let in, and those that were over a limit. */
    public long requests() {
      return requests.sum();
    }

    public long promptTokens() {
      return promptTokens.sum();
    }

    public long generatedTokens() {
      return generatedTokens.sum();
    }

    /** Refused: too many requests a minute. */
    public long overRequests() {
      return overRequests.sum();
    }

    /** Refused: too many tokens a minute. */
    public long overTokens() {
      return overTokens.sum();
    }
  }

  KeyHolder(String name, KeyTerms terms, LongSupplier nanoTime) {
    this.name = name;
    this.terms = terms;
    this.requests = new RateBucket(terms.requestsPerMinute(), nanoTime);
    this.tokens = new RateBucket(terms.tokensPerMinute(), nanoTime);
  }

  /** Of nobody's in particular: whoever calls a server that asks for no key. */
  static KeyHolder anybody(Rights rights) {
    return new KeyHolder("none", KeyTerms.CLIENT.withRights(rights), System::nanoTime);
  }

  /** Of its key; never the key. */
  public String name() {
    return name;
  }

  public Rights rights() {
    return terms.rights();
  }

  public Counts counts() {
    return counts;
  }

  /**
   * The class that a request is served in.
   *
   * @param asked null where it names none
   * @throws ApiException 403 if the key is not for that
   */
  public ServiceClass serviceClass(@Nullable ServiceClass asked) {
    return terms.serviceClass(asked);
  }

  /** Other terms for the same key; what was used of the old ones is used of the new. */
  void terms(KeyTerms other) {
    terms = other;
    requests.limit(other.requestsPerMinute());
    tokens.limit(other.tokensPerMinute());
  }

  /** Whether the key opens anything at that time. */
  boolean active(Instant now) {
    return !revoked && !terms.expired(now);
  }

  /** The key opens nothing any more, and what runs by it ends. */
  void revoke() {
    revoked = true;
    endRunning();
  }

  /** What runs by the key ends. */
  void endRunning() {
    running.forEach(CallRecord::revoke);
  }

  void begins(CallRecord call) {
    running.add(call);
    if (revoked) { // it may have come between the two
      call.revoke();
    }
  }

  void ends(CallRecord call) {
    running.remove(call);
  }

  /**
   * Counts a request that asks for work.
   *
   * @throws ApiException 429 if there are too many this minute
   */
  public void countRequest() {
    counts.requests.increment();
    long wait = requests.take(1);
    if (wait > 0) {
      counts.overRequests.increment();
      throw overLimit(
          "The key '%s' has reached its limit of %d requests a minute."
              .formatted(name, terms.requestsPerMinute()),
          wait);
    }
  }

  /**
   * Takes tokens that a call may need from those of this minute.
   *
   * @return how many it took, to be settled
   * @throws ApiException 429 if so many are not left
   */
  long reserve(long most) {
    long share = tokens.share(most);
    long wait = tokens.take(share);
    if (wait > 0) {
      counts.overTokens.increment();
      throw overLimit(
          ("The key '%s' has reached its limit of %d tokens a minute: %d are left, and this"
                  + " request may take %d. A smaller max_tokens may fit.")
              .formatted(name, terms.tokensPerMinute(), tokens.state().remaining(), most),
          wait);
    }
    return share;
  }

  /** A call has ended: what it reserved and did not use is there again. */
  void settle(long reserved, long prompt, long generated) {
    counts.promptTokens.add(prompt);
    counts.generatedTokens.add(generated);
    tokens.give(reserved - prompt - generated);
  }

  private ApiException overLimit(String message, long waitNanos) {
    long seconds = Math.ceilDiv(waitNanos, TimeUnit.SECONDS.toNanos(1));
    return ApiException.overLimit(message, (int) Math.clamp(seconds, 1, 3600), limitHeaders());
  }

  /** What answers say of its limits, by names of headers; none where it has none. */
  public Map<String, String> limitHeaders() {
    if (!terms.limited()) {
      return Map.of();
    }
    Map<String, String> headers = new LinkedHashMap<>();
    put(headers, "requests", requests.state());
    put(headers, "tokens", tokens.state());
    return headers;
  }

  private static void put(Map<String, String> headers, String of, RateBucket.State state) {
    if (state.limit() > 0) {
      headers.put("x-ratelimit-limit-" + of, Long.toString(state.limit()));
      headers.put("x-ratelimit-remaining-" + of, Long.toString(state.remaining()));
      headers.put("x-ratelimit-reset-" + of, duration(state.fullNanos()));
    }
  }

  /** As OpenAI writes it: 6m0s, 1.5s, 20ms. */
  static String duration(long nanos) {
    long millis = Math.ceilDiv(nanos, TimeUnit.MILLISECONDS.toNanos(1));
    if (millis < 1000) {
      return millis == 0 ? "0s" : millis + "ms";
    }
    long minutes = millis / 60_000;
    String fraction =
        millis % 1000 == 0 ? "" : ".%03d".formatted(millis % 1000).replaceAll("0+$", "");
    return (minutes == 0 ? "" : minutes + "m") + millis % 60_000 / 1000 + fraction + "s";
  }
}
