package io.tercel.loadtests.hostile;

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What the clients of one attack were answered. Thread-safe. */
public final class Tally {
  /** Of a connection that ended without an answer. */
  static final int CLOSED = 0;

  private final Map<Integer, Integer> answers = new TreeMap<>();

  synchronized void add(int status) {
    answers.merge(status, 1, Integer::sum);
  }

  synchronized int of(int status) {
    return answers.getOrDefault(status, 0);
  }

  /** Whether a fault of the server's is among them; 503 says that it is full, which is none. */
  synchronized boolean hasFaults() {
    return answers.keySet().stream().anyMatch(status -> status >= 500 && status != 503);
  }

  @Override
  public synchronized String toString() {
    return answers.entrySet().stream()
        .map(e -> (e.getKey() == CLOSED ? "closed" : e.getKey().toString()) + " x" + e.getValue())
        .collect(Collectors.joining(", "));
  }
}
