package io.tercel.server.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Guard;
import io.tercel.server.call.Keys;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpService;
import io.tercel.server.http.RouteGroup;
import io.tercel.server.http.Router;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.openai.Probes;
import io.tercel.server.openai.wire.ErrorBody;
import java.util.List;
import java.util.Map;

/**
 * The admin port's routes: what steers the server, behind the admin key, and probes and figures,
 * behind none. Commands are POSTs whose fields come as JSON or in the query; one without fields
 * needs no body.
 */
public final class AdminRoutes implements HttpService {
  private static final Map<String, Object> NOTHING = Map.of();

  private final InferenceApi api;
  private final ServerControl control;
  private final List<RouteGroup> besides;

  /**
   * Of a served model.
   *
   * @param besides what there is beside control, such as an API that only operators may use
   */
  public AdminRoutes(InferenceApi api, ServerControl control, RouteGroup... besides) {
    this.api = api;
    this.control = control;
    this.besides = List.of(besides);
  }

  @Override
  public void addTo(Router router, HttpServer server) {
    Probes probes = new Probes(api, api::ready);
    router
        .openGet("/health", probes::health)
        .openGet("/ready", probes::ready)
        .openGet("/metrics", probes::metrics)
        .openGet("/version", probes::version)
        .get("/info", Commands.answering(exchange -> control.info()))
        .get("/is_paused", Commands.answering(exchange -> Map.of("is_paused", control.paused())))
        .get("/checksum", Commands.answering(this::checksum))
        .command("/pause", Commands.answering(this::pause))
        .command("/resume", Commands.answering(this::resume))
        .command("/abort", Commands.answering(this::abort))
        .command("/abort_started_before", Commands.answering(this::abortStartedBefore))
        .command("/reload", Commands.answering(this::reload))
        .command("/drain", Commands.answering(exchange -> Map.of("unfinished", control.drain())));
    new FrameworkRoutes(control).addTo(router);
    besides.forEach(group -> group.addTo(router, server));
  }

  /**
   * vLLM's. In mode {@code keep} what runs keeps its memory and waits, in mode {@code abort} it is
   * ended with what it has got; {@code clear_cache} forgets cached prefixes.
   */
  private Object pause(Exchange exchange) throws InterruptedException {
    ObjectNode fields = exchange.fields();
    String mode = Commands.text(exchange, fields, "mode");
    if (mode != null && !mode.equals("keep") && !mode.equals("abort")) {
      throw ApiException.unsupported(
          "mode",
          "mode must be keep, where what runs keeps its memory and waits, or abort, not '"
              + mode
              + "'");
    }
    boolean clear = Commands.truth(exchange, fields, "clear_cache", false);
    control.pause();
    if ("abort".equals(mode)) {
      control.abortAll();
    }
    if (clear) {
      control.resetPrefixCache();
    }
    return Map.of("status", "paused");
  }

  private Object resume(Exchange exchange) {
    control.resume();
    return Map.of("status", "resumed");
  }

  private Object abort(Exchange exchange) throws InterruptedException {
    control.abort(Commands.required(exchange, exchange.fields(), "request_id"));
    return NOTHING;
  }

  private Object abortStartedBefore(Exchange exchange) throws InterruptedException {
    JsonNode version = exchange.fields().get("weight_version");
    if (version == null || version.isNull()) {
      throw ApiException.missing("weight_version");
    }
    if (!version.isIntegralNumber() || !version.canConvertToLong()) {
      throw ApiException.invalid("weight_version", "weight_version must be an integer");
    }
    return Map.of("aborted", control.abortStartedBefore(version.longValue()));
  }

  private Object reload(Exchange exchange) throws Exception {
    if (Commands.text(exchange, exchange.fields(), "stale_kv") != null) {
      throw ApiException.unsupported(
          "stale_kv", "stale_kv is said by each request that runs while weights change, not here");
    }
    return Map.of("weight_version", Commands.computed("reload", control::reload));
  }

  private Object checksum(Exchange exchange) throws Exception {
    WeightChecksum checksum = Commands.computed("weight-checksum", control::checksum);
    return Map.of(
        "algorithm", WeightChecksum.ALGORITHM,
        "digest", checksum.hex(),
        "weight_version", checksum.version(),
        "hashed_bytes", checksum.bytes());
  }

  @Override
  public Guard guard(Keys keys, boolean loopback) {
    return keys.control(loopback);
  }

  @Override
  public boolean tellsStrangers() {
    return true;
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
}
