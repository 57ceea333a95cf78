package io.tercel.server.api;

import io.tercel.server.anthropic.MessagesRoutes;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpService;
import io.tercel.server.http.RouteGroup;
import io.tercel.server.http.Router;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.openai.Routes;
import io.tercel.server.openai.wire.ErrorBody;
import java.util.List;

/**
 * All that clients may ask over HTTP: OpenAI's routes and Anthropic's beside them, of one model.
 * Errors that belong to neither are OpenAI's.
 */
public final class PublicRoutes implements HttpService {
  private final InferenceApi api;
  private final List<RouteGroup> besides;

  /**
   * Shares its model with other wires.
   *
   * @param besides what there is beside the APIs, such as a page
   */
  public PublicRoutes(InferenceApi api, RouteGroup... besides) {
    this.api = api;
    this.besides = List.of(besides);
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
    besides.forEach(group -> group.addTo(router, server));
  }
}
