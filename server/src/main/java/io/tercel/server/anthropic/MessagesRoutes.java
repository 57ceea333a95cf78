package io.tercel.server.anthropic;

import io.tercel.server.anthropic.wire.ErrorBody;
import io.tercel.server.call.ApiException;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.RouteGroup;
import io.tercel.server.http.Router;
import io.tercel.server.request.ApiContext;

/**
 * The routes of Anthropic's Messages API; wires their handlers. Its clients are told of errors in
 * its own form on every route: they say themselves who they are.
 */
public final class MessagesRoutes implements RouteGroup {
  private static final String PATH = "/v1/messages";

  private final ApiContext context;

  /** Shares its model with other APIs. */
  public MessagesRoutes(ApiContext context) {
    this.context = context;
  }

  @Override
  public void addTo(Router router, HttpServer server) {
    router
        .post(PATH, server.whenReady(new MessagesHandler(context)))
        .post(PATH + "/count_tokens", new CountTokensHandler(context))
        .errorsBelow(PATH, ERRORS)
        .errorsWhereSent("anthropic-version", ERRORS);
  }

  private static final ErrorFormat ERRORS =
      new ErrorFormat() {
        @Override
        public Object body(ApiException error, String requestId) {
          return ErrorBody.of(error, requestId);
        }

        @Override
        public int status(ApiException error) {
          return ErrorBody.status(error);
        }
      };
}
