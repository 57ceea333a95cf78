package io.tercel.server.control;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.call.ApiException;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Router;
import java.util.Map;

/**
 * The admin port's routes under the names that frameworks for reinforcement learning know from
 * vLLM, SGLang and prime-rl: they bring new weights as a directory, and have old prefixes forgotten
 * and old requests ended.
 */
final class FrameworkRoutes {
  private final ServerControl control;

  FrameworkRoutes(ServerControl control) {
    this.control = control;
  }

  void addTo(Router router) {
    router
        .command("/reset_prefix_cache", Commands.answering(this::resetPrefixCache))
        .command("/flush_cache", Commands.answering(this::resetPrefixCache))
        .command("/abort_request", Commands.answering(this::abort))
        .command("/pause_generation", Commands.answering(this::pause))
        .command("/continue_generation", Commands.answering(this::resume))
        .command("/update_weights_from_disk", Commands.answering(this::updateFromDisk))
        .command("/update_weights", Commands.answering(this::update))
        .get("/get_weight_version", Commands.answering(_ -> version(control.weightVersion())));
  }

  private Object resetPrefixCache(Exchange exchange) throws InterruptedException {
    control.resetPrefixCache();
    return Map.of("success", true);
  }

  /** SGLang's: one by its id, or all. */
  private Object abort(Exchange exchange) throws InterruptedException {
    ObjectNode fields = exchange.fields();
    if (Commands.truth(exchange, fields, "abort_all", false)) {
      return Map.of("aborted", control.abortAll());
    }
    String id = Commands.text(exchange, fields, "rid");
    if (id == null) {
      throw ApiException.invalid("rid", "rid is required: a request's id, or abort_all");
    }
    try {
      control.abort(id);
    } catch (ApiException e) {
      if (e.status() != 404) {
        throw e;
      }
      // it may have ended on its own meanwhile, which frameworks expect to be no error
      return Map.of("aborted", 0);
    }
    return Map.of("aborted", 1);
  }

  /** SGLang's: abort unless said otherwise, or in_place, which keeps what runs as it is. */
  private Object pause(Exchange exchange) throws InterruptedException {
    String mode = Commands.text(exchange, exchange.fields(), "mode");
    if (mode != null && !mode.equals("abort") && !mode.equals("in_place")) {
      throw ApiException.unsupported("mode", "mode must be abort or in_place, not '" + mode + "'");
    }
    control.pause();
    if (!"in_place".equals(mode)) {
      control.abortAll();
    }
    return Map.of("status", "ok");
  }

  private Object resume(Exchange exchange) {
    control.resume();
    return Map.of("status", "ok");
  }

  /** SGLang's: whether it has worked is a field of the answer, which is 400 where it hasn't. */
  private Object updateFromDisk(Exchange exchange) throws Exception {
    ObjectNode fields = exchange.fields();
    String model = Commands.required(exchange, fields, "model_path");
    boolean abort = Commands.truth(exchange, fields, "abort_all_requests", false);
    long version;
    try {
      version = Commands.computed("update-weights", () -> control.load(model, "model_path"));
    } catch (CheckpointException e) {
      throw ApiException.invalid("model_path", String.valueOf(e.getMessage()));
    }
    int aborted = abort ? control.abortAll() : 0;
    return Map.of(
        "success",
        true,
        "message",
        "version " + version,
        "num_paused_requests",
        aborted,
        "weight_version",
        version);
  }

  /** prime-rl's. */
  private Object update(Exchange exchange) throws Exception {
    String directory = Commands.required(exchange, exchange.fields(), "weight_dir");
    return version(
        Commands.computed("update-weights", () -> control.load(directory, "weight_dir")));
  }

  private static Map<String, Object> version(long version) {
    return Map.of("status", "ok", "weight_version", version);
  }
}
