package io.tercel.server.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Guard;
import io.tercel.server.call.Keys;
import io.tercel.server.http.ErrorFormat;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpService;
import io.tercel.server.http.Router;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.openai.Probes;
import io.tercel.server.openai.wire.ErrorBody;
import java.util.ConcurrentModificationException;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;

/**
 * The admin port's routes: what steers the server, behind the admin key, and probes and figures,
 * behind none. Commands are POSTs whose fields come as JSON or in the query; one without fields
 * needs no body.
 */
public final class AdminRoutes implements HttpService {
  private static final Map<String, Object> NOTHING = Map.of();

  private final InferenceApi api;
  private final ServerControl control;

  public AdminRoutes(InferenceApi api, ServerControl control) {
    this.api = api;
    this.control = control;
  }

  @Override
  public void addTo(Router router, HttpServer server) {
    Probes probes = new Probes(api, api::ready);
    router
        .openGet("/health", probes::health)
        .openGet("/ready", probes::ready)
        .openGet("/metrics", probes::metrics)
        .openGet("/version", probes::version)
        .get("/info", answering(exchange -> control.info()))
        .get("/is_paused", answering(exchange -> Map.of("is_paused", control.paused())))
        .get("/checksum", answering(this::checksum))
        .command("/pause", answering(this::pause))
        .command("/resume", answering(this::resume))
        .command("/abort", answering(this::abort))
        .command("/abort_started_before", answering(this::abortStartedBefore))
        .command("/reload", answering(this::reload))
        .command("/drain", answering(exchange -> Map.of("unfinished", control.drain())));
  }

  /** vLLM's, whose {@code mode=keep} this is: what runs keeps its memory and goes on later. */
  private Object pause(Exchange exchange) throws InterruptedException {
    String mode = text(exchange, exchange.fields(), "mode");
    if (mode != null && !mode.equals("keep")) {
      throw ApiException.unsupported(
          "mode", "mode must be keep, not '" + mode + "': what runs keeps its memory and waits");
    }
    control.pause();
    return Map.of("status", "paused");
  }

  private Object resume(Exchange exchange) {
    control.resume();
    return Map.of("status", "resumed");
  }

  private Object abort(Exchange exchange) throws InterruptedException {
    String id = text(exchange, exchange.fields(), "request_id");
    if (id == null) {
      throw ApiException.missing("request_id");
    }
    control.abort(id);
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
    if (text(exchange, exchange.fields(), "stale_kv") != null) {
      throw ApiException.unsupported(
          "stale_kv", "stale_kv is said by each request that runs while weights change, not here");
    }
    return Map.of("weight_version", computed("reload", control::reload));
  }

  private Object checksum(Exchange exchange) throws Exception {
    WeightChecksum checksum = computed("weight-checksum", control::checksum);
    return Map.of(
        "algorithm", WeightChecksum.ALGORITHM,
        "digest", checksum.hex(),
        "weight_version", checksum.version(),
        "hashed_bytes", checksum.bytes());
  }

  /** A field of the body, else of the query. */
  private static @Nullable String text(Exchange exchange, ObjectNode fields, String name) {
    JsonNode node = fields.get(name);
    if (node == null || node.isNull()) {
      return exchange.query(name);
    }
    if (!node.isTextual()) {
      throw ApiException.invalid(name, name + " must be a string");
    }
    return node.textValue();
  }

  /** What a route answers. */
  @FunctionalInterface
  private interface Answer {
    Object to(Exchange exchange) throws Exception;
  }

  private static Handler answering(Answer answer) {
    return exchange -> {
      Object value;
      try {
        value = answer.to(exchange);
      } catch (CheckpointException e) {
        throw ApiException.conflict(String.valueOf(e.getMessage()));
      } catch (ConcurrentModificationException e) {
        throw ApiException.conflict("The weights change all the time; try again later.");
      } catch (IllegalStateException e) { // the engine has stopped, or another reload goes on
        throw ApiException.unavailable(String.valueOf(e.getMessage()));
      }
      exchange.json(200, value);
    };
  }

  /** Long computing would keep a virtual thread's carrier from others. */
  private static <T> T computed(String name, Callable<T> work) throws Exception {
    FutureTask<T> task = new FutureTask<>(work);
    Thread.ofPlatform().daemon().name(name).start(task);
    try {
      return task.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    }
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
