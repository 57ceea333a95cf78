package io.tercel.server.api;

import io.tercel.server.anthropic.MessagesRoutes;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpService;
import io.tercel.server.http.Router;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.openai.Routes;
import io.tercel.server.openai.wire.ErrorBody;

/**
 * All that clients may ask over HTTP: OpenAI's routes and Anthropic's beside them, of one model.
 * Errors that belong to neither are OpenAI's.
 */
public final class PublicRoutes implements HttpService {
  private final InferenceApi api;

  /** Shares its model with other wires. */
  public PublicRoutes(InferenceApi api) {
    this.api = api;
  }

  @Override
  public ErrorFormat errors() {
    return (error, _) -> ErrorBody.of(error);
  }

  @Override
  public boolean ready() {
    return api.ready();
  }

  @Override
  public void drain() {
    api.drain();
  }

  @Override
  public void addTo(Router router, HttpServer server) {
    new Routes(api).addTo(router, server);
    new MessagesRoutes(api.context()).addTo(router, server);
  }
}
