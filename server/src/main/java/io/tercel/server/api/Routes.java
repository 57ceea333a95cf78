package io.tercel.server.api;

import io.tercel.server.api.wire.Version;
import java.util.function.BooleanSupplier;

/** Which routes there are; wires their handlers. */
final class Routes {
  private final HttpServerConfig config;
  private final ServedModel model;
  private final ServerMetrics metrics;
  private final JsonIntake intake;
  private final BooleanSupplier ready;

  Routes(InferenceApi api, BooleanSupplier ready) {
    this.config = api.config();
    this.model = api.model();
    this.metrics = api.metrics();
    this.intake = api.intake();
    this.ready = ready;
  }

  void addTo(Router router) {
    ModelsHandler models = new ModelsHandler(config, model);
    TokenizeHandler tokens = new TokenizeHandler(config, model, intake);
    router
        .post(
            "/v1/chat/completions",
            admitted(new ChatCompletionHandler(config, model, metrics, intake)))
        .post("/v1/completions", admitted(new CompletionHandler(config, model, metrics, intake)))
        .post("/v1/responses", admitted(new ResponsesHandler(config, model, metrics, intake)))
        .post("/tokenize", tokens::tokenize)
        .post("/detokenize", tokens::detokenize)
        .get("/v1/models", models::list)
        .getBelow("/v1/models/", models::one)
        .openGet("/health", exchange -> exchange.text(200, "text/plain; charset=utf-8", ""))
        .get("/ready", this::ready)
        .get(
            "/metrics",
            exchange ->
                exchange.text(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text()))
        .get("/version", exchange -> exchange.json(200, new Version(config.version())));
  }

  private Handler admitted(Handler handler) {
    return exchange -> {
      if (!ready.getAsBoolean()) {
        throw ApiException.unavailable("The server is not ready, or shutting down.");
      }
      handler.handle(exchange);
    };
  }

  private void ready(Exchange exchange) {
    if (!ready.getAsBoolean()) {
      throw ApiException.unavailable("The server is not ready, or shutting down.");
    }
    exchange.text(200, "text/plain; charset=utf-8", "");
  }
}
