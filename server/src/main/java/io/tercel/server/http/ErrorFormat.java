package io.tercel.server.http;

import io.tercel.server.call.ApiException;

/** How an API writes its errors. */
@FunctionalInterface
public interface ErrorFormat {

  /**
   * What is sent as JSON, as a whole answer or as the last event of a stream.
   *
   * @param requestId as the answer's head says it
   */
  Object body(ApiException error, String requestId);

  /** The answer's status. */
  default int status(ApiException error) {
    return error.status();
  }
}
