package io.tercel.server.openai;

import io.tercel.server.call.ApiException;
import io.tercel.server.http.Exchange;
import io.tercel.server.openai.wire.Version;
import java.util.function.BooleanSupplier;

/** What orchestrators and dashboards ask of a server, on each of its ports. */
public final class Probes {
  private static final String PLAIN = "text/plain; charset=utf-8";

  private final InferenceApi api;
  private final BooleanSupplier ready;

  /**
   * Of a served model.
   *
   * @param ready whether requests for tokens are admitted
   */
  public Probes(InferenceApi api, BooleanSupplier ready) {
    this.api = api;
    this.ready = ready;
  }

  /** Live: 503 once only another process can help. */
  public void health(Exchange exchange) {
    if (api.failed()) {
      throw ApiException.unavailable("The engine has failed; the server must be started again.");
    }
    exchange.text(200, PLAIN, "");
  }

  /** Ready: 503 while requests for tokens are refused. */
  public void ready(Exchange exchange) {
    if (!ready.getAsBoolean()) {
      throw ApiException.unavailable("The server is not ready, or shutting down.");
    }
    exchange.text(200, PLAIN, "");
  }

  /** Prometheus' figures. */
  public void metrics(Exchange exchange) {
    exchange.text(200, "text/plain; version=0.0.4; charset=utf-8", api.metrics().text());
  }

  public void version(Exchange exchange) {
    exchange.json(200, new Version(api.config().version()));
  }
}
