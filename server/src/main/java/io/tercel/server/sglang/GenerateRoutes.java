package io.tercel.server.sglang;

import io.tercel.server.http.HttpServer;
import io.tercel.server.http.RouteGroup;
import io.tercel.server.http.Router;
import io.tercel.server.request.ApiContext;

/** SGLang's route for tokens; wires its handler. */
public final class GenerateRoutes implements RouteGroup {
  private final ApiContext context;

  /** Shares its model with other APIs. */
  public GenerateRoutes(ApiContext context) {
    this.context = context;
  }

  @Override
  public void addTo(Router router, HttpServer server) {
    router.post("/generate", server.whenReady(new GenerateHandler(context)));
  }
}
