package io.tercel.server.call;

import io.tercel.server.http.Exchange;

/**
 * One request for JSON on any wire: how its answer goes out, and whether somebody still waits for
 * it. HTTP's is an {@link Exchange}.
 *
 * <p>Used from the request's virtual thread. Writing waits while the client doesn't read, and
 * throws {@link ClientGoneException} once there is none.
 */
public interface Call extends Caller {

  /** Answers with one JSON value, and ends. */
  void json(int status, Object value);

  /** Begins an answer of several JSON values. */
  EventStream stream();
}
