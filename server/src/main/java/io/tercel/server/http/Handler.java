package io.tercel.server.http;

import io.tercel.server.call.ApiException;

/** Answers the requests of one route; runs on the request's own virtual thread and may block. */
@FunctionalInterface
public interface Handler {

  /**
   * Answers. What it throws becomes an error answer, or ends the stream if one has begun.
   *
   * @throws Exception anything; an {@link ApiException} says its status itself
   */
  void handle(Exchange exchange) throws Exception;
}
