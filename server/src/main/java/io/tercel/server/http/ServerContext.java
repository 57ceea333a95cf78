package io.tercel.server.http;

import io.tercel.server.call.CallObserver;
import io.tercel.server.call.RunningCalls;

/** What all connections of a server share: limits, and how many requests run. */
final class ServerContext {
  private final RequestGate gate;
  private final HttpLimits limits;
  private final Cors cors;
  private final Router router;
  private final ErrorFormat errors;
  private final CallObserver observer;
  private final BodyBudget budget;
  private final RunningCalls requests = new RunningCalls(); // connections are limited
  private volatile boolean draining;

  ServerContext(RequestGate gate, Router router, HttpServerConfig config, ErrorFormat errors) {
    this.gate = gate;
    this.router = router;
    this.limits = config.limits();
    this.cors = config.cors();
    this.errors = errors;
    this.observer = config.observer();
    this.budget = new BodyBudget(limits.maxBufferedBytes());
  }

  RequestGate gate() {
    return gate;
  }

  /** Is told of every call that has ended. */
  CallObserver observer() {
    return observer;
  }

  HttpLimits limits() {
    return limits;
  }

  Cors cors() {
    return cors;
  }

  /** How what goes wrong with a request is written. */
  ErrorFormat errors(RequestHead head) {
    return router.errors(head, errors);
  }

  /** How what goes wrong is written where there is no request yet. */
  ErrorFormat errors() {
    return errors;
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
