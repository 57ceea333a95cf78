package io.tercel.server.api;

/** What all connections of a server share: limits, and how many requests run. */
final class ServerContext {
  private final RequestGate gate;
  private final HttpLimits limits;
  private final BodyBudget budget;
  private final RunningCalls requests = new RunningCalls(); // connections are limited
  private volatile boolean draining;

  ServerContext(RequestGate gate, HttpLimits limits) {
    this.gate = gate;
    this.limits = limits;
    this.budget = new BodyBudget(limits.maxBufferedBytes());
  }

  RequestGate gate() {
    return gate;
  }

  HttpLimits limits() {
    return limits;
  }

  BodyBudget budget() {
    return budget;
  }

  boolean draining() {
    return draining;
  }

  void drain() {
    draining = true;
  }

  /** Those that have a thread. */
  RunningCalls requests() {
    return requests;
  }
}
