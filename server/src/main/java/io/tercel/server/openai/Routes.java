package io.tercel.server.openai;

import io.tercel.server.call.ApiException;
import io.tercel.server.call.JsonIntake;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.Handler;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpService;
import io.tercel.server.http.Router;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.ErrorBody;

/** OpenAI's routes and those that go with them; wires their handlers. */
public final class Routes implements HttpService {
  private final ApiConfig config;
  private final ServedModel model;
  private final ServerMetrics metrics;
  private final JsonIntake intake;
  private final InferenceApi api;

  /** Shares its model with other wires. */
  public Routes(InferenceApi api) {
    this.api = api;
    this.config = api.config();
    this.model = api.model();
    this.metrics = api.metrics();
    this.intake = api.intake();
  }

  @Override
  public ErrorFormat errors() {
    return ErrorBody::of;
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
    ModelsHandler models = new ModelsHandler(config, model);
    Probes probes = new Probes(api, server::ready);
    TokenizeHandler tokens = new TokenizeHandler(config, model, intake);
    router
        .post(
            "/v1/chat/completions",
            admitted(
                server, new ChatCompletionHandler(config, model, metrics, intake, api.gathered())))
        .post(
            "/v1/completions",
            admitted(server, new CompletionHandler(config, model, metrics, intake, api.gathered())))
        .post(
            "/v1/responses",
            admitted(server, new ResponsesHandler(config, model, metrics, intake, api.gathered())))
        .post("/tokenize", tokens::tokenize)
        .post("/detokenize", tokens::detokenize)
        .get("/v1/models", models::list)
        .getBelow("/v1/models/", models::one)
        .openGet("/health", probes::health)
        .get("/ready", probes::ready)
        .get("/metrics", probes::metrics)
        .get("/version", probes::version);
  }

  private static Handler admitted(HttpServer server, Handler handler) {
    return exchange -> {
      if (!server.ready()) {
        throw ApiException.unavailable("The server is not ready, or shutting down.");
      }
      handler.handle(exchange);
    };
  }
}
