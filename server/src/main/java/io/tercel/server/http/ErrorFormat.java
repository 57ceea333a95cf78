package io.tercel.server.http;

import io.tercel.server.call.ApiException;

/** How an API writes its errors. */
@FunctionalInterface
public interface ErrorFormat {

  /** What is sent as JSON, as a whole answer or as the last event of a stream. */
  Object body(ApiException error);
}
