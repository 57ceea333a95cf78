package io.tercel.server.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.call.ApiException;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import java.util.ConcurrentModificationException;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;

/** How commands of the admin port read their fields and answer. */
final class Commands {
  private Commands() {}

  /** A field of the body, else of the query. */
  static @Nullable String text(Exchange exchange, ObjectNode fields, String name) {
    JsonNode node = fields.get(name);
    if (node == null || node.isNull()) {
      return exchange.query(name);
    }
    if (!node.isTextual()) {
      throw ApiException.invalid(name, name + " must be a string");
    }
    return node.textValue();
  }

  /** The same, of one that must be there. */
  static String required(Exchange exchange, ObjectNode fields, String name) {
    String value = text(exchange, fields, name);
    if (value == null) {
      throw ApiException.missing(name);
    }
    return value;
  }

  /**
   * A truth of the body, else of the query.
   *
   * @param otherwise where neither says
   */
  static boolean truth(Exchange exchange, ObjectNode fields, String name, boolean otherwise) {
    JsonNode node = fields.get(name);
    if (node != null && node.isBoolean()) {
      return node.booleanValue();
    }
    String text = node == null || node.isNull() ? exchange.query(name) : node.asText();
    return switch (text) {
      case null -> otherwise;
      case "true", "True", "1" -> true;
      case "false", "False", "0" -> false;
      default -> throw ApiException.invalid(name, name + " must be true or false");
    };
  }

  /** What a route answers. */
  @FunctionalInterface
  interface Answer {
    Object to(Exchange exchange) throws Exception;
  }

  static Handler answering(Answer answer) {
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
  static <T> T computed(String name, Callable<T> work) throws Exception {
    FutureTask<T> task = new FutureTask<>(work);
    Thread.ofPlatform().daemon().name(name).start(task);
    try {
      return task.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    }
  }
}
