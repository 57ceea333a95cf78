package io.tercel.server.openai;

import io.tercel.server.http.HttpServer;
import io.tercel.server.http.RouteGroup;
import io.tercel.server.http.Router;
import io.tercel.server.request.ApiContext;

/** OpenAI's routes and those that go with them; wires their handlers. */
public final class Routes implements RouteGroup {
  private final InferenceApi api;

  /** Shares its model with other wires. */
  public Routes(InferenceApi api) {
    this.api = api;
  }

  @Override
  public void addTo(Router router, HttpServer server) {
    ApiContext context = api.context();
    ModelsHandler models = new ModelsHandler(context.config(), context.model());
    Probes probes = new Probes(api, server::ready);
    ResponsesHandler responses = new ResponsesHandler(context, api.responses());
    TokenizeHandler tokens = new TokenizeHandler(context);
    router
        .post("/v1/chat/completions", server.whenReady(new ChatCompletionHandler(context)))
        .post("/v1/completions", server.whenReady(new CompletionHandler(context)))
        .post("/v1/responses", server.whenReady(responses))
        .getAndDeleteBelow(ResponsesHandler.BELOW, responses::one, responses::delete)
        .post("/tokenize", tokens::tokenize)
        .post("/detokenize", tokens::detokenize)
        .get("/v1/models", models::list)
        .getBelow("/v1/models/", models::one)
        .openGet("/health", probes::health)
        .get("/ready", probes::ready)
        .get("/metrics", probes::metrics)
        .get("/version", probes::version);
  }
}
