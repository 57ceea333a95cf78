package io.tercel.server.call;

/** Whoever wants to know of calls that have ended. */
@FunctionalInterface
public interface CallObserver {
  /** Wants to know nothing. */
  CallObserver NONE = _ -> {};

  /**
   * A call has ended, whichever way; nothing of the record changes any more. Called once, on an
   * event loop or a call's thread: it must not block.
   */
  void ended(CallRecord call);

  /** Tells both. */
  default CallObserver and(CallObserver other) {
    return call -> {
      ended(call);
      other.ended(call);
    };
  }
}
