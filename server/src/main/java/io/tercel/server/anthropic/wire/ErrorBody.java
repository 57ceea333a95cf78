package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.tercel.server.call.ApiException;
import org.jspecify.annotations.Nullable;

/** The one shape of every error, as a whole answer and as a stream's last event. */
public record ErrorBody(String type, Detail error, @JsonProperty("request_id") String requestId) {
  /** Of a server that has no room; no status of HTTP's own. */
  private static final int OVERLOADED = 529;

  /**
   * What went wrong.
   *
   * @param details for clients that know a way out, where there is one
   */
  public record Detail(
      String type,
      String message,
      @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Details details) {}

  /** A word for programs. */
  public record Details(@JsonProperty("error_code") String errorCode) {}

  /** What Anthropic's clients read of an error. */
  public static ErrorBody of(ApiException e, String requestId) {
    String type =
        switch (e.status()) {
          case 401 -> "authentication_error";
          case 403 -> "permission_error";
          case 404 -> "not_found_error";
          case 408 -> "timeout_error";
          case 413 -> "request_too_large";
          case 429 -> "rate_limit_error";
          case 500 -> "api_error";
          case 503 -> "overloaded_error";
          default -> "invalid_request_error";
        };
    return new ErrorBody("error", new Detail(type, message(e), details(e)), requestId);
  }

  /** Clients that keep a conversation on the server send the whole of it when they are told so. */
  private static @Nullable Details details(ApiException e) {
    return "thread".equals(e.param()) ? new Details("thread_unsupported_request") : null;
  }

  /** What the status is over there. */
  public static int status(ApiException e) {
    return e.status() == 503 ? OVERLOADED : e.status();
  }

  /** There is no field for the field that is to blame: the message begins with it. */
  private static String message(ApiException e) {
    String message = String.valueOf(e.getMessage());
    String param = e.param();
    if ("context_length_exceeded".equals(e.code())) {
      return "prompt is too long: " + message; // the words by which agents know to shorten it
    }
    if (param == null || message.startsWith(param + ":")) {
      return message;
    }
    return param
        + ": "
        + (message.startsWith(param + " ") ? message.substring(param.length() + 1) : message);
  }
}
