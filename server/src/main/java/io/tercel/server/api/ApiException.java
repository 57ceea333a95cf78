package io.tercel.server.api;

import io.tercel.server.api.wire.ErrorBody;
import io.tercel.server.engine.InvalidRequestException;
import io.tercel.server.engine.OverloadedException;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** An answer that is an error: a status and the body that explains it. Carries no stack trace. */
public final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final String INVALID = "invalid_request_error";

  /** Long enough for a few requests to finish, short enough for a client to wait. */
  private static final int RETRY_AFTER_SECONDS = 2;

  private final int status;
  private final transient ErrorBody body;
  private final @Nullable String allow;

  private ApiException(
      int status,
      String message,
      String type,
      @Nullable String param,
      @Nullable String code,
      @Nullable String allow) {
    super(message, null, false, false);
    this.status = status;
    this.body = new ErrorBody(new ErrorBody.Detail(message, type, param, code));
    this.allow = allow;
  }

  /** A field with a wrong type or a value out of range. */
  public static ApiException invalid(String param, String message) {
    return new ApiException(400, message, INVALID, param, "invalid_value", null);
  }

  /** A field that is known, with a value that this server can't honour. */
  public static ApiException unsupported(String param, String message) {
    return new ApiException(400, message, INVALID, param, "unsupported_value", null);
  }

  public static ApiException missing(String param) {
    return new ApiException(
        400, param + " is required", INVALID, param, "missing_required_parameter", null);
  }

  public static ApiException contextLength(String param, String message) {
    return new ApiException(400, message, INVALID, param, "context_length_exceeded", null);
  }

  /** A request that isn't HTTP or JSON as it should be. */
  public static ApiException malformed(String message) {
    return new ApiException(400, message, INVALID, null, "invalid_request", null);
  }

  public static ApiException unauthorized(boolean given) {
    String message =
        given
            ? "Incorrect API key provided."
            : "No API key provided: send it as 'Authorization: Bearer KEY'.";
    return new ApiException(401, message, INVALID, null, "invalid_api_key", null);
  }

  public static ApiException modelNotFound(String model) {
    String message = "The model `" + model + "` does not exist.";
    return new ApiException(404, message, INVALID, "model", "model_not_found", null);
  }

  public static ApiException unknownRoute(String method, String path) {
    String message = "Unknown route: " + method + " " + path;
    return new ApiException(404, message, INVALID, null, "unknown_url", null);
  }

  public static ApiException methodNotAllowed(String method, String path, String allow) {
    String message = method + " is not allowed on " + path + ": use " + allow;
    return new ApiException(405, message, INVALID, null, "method_not_allowed", allow);
  }

  public static ApiException timeout(String message) {
    return new ApiException(408, message, INVALID, null, "request_timeout", null);
  }

  public static ApiException tooLarge(long limit) {
    String message = "The request body is larger than the limit of " + limit + " bytes.";
    return new ApiException(413, message, INVALID, null, "request_too_large", null);
  }

  public static ApiException mediaType(String message) {
    return new ApiException(415, message, INVALID, null, "unsupported_media_type", null);
  }

  /** A head that breaks a limit or a rule of HTTP. */
  public static ApiException badHead(int status, String message) {
    return new ApiException(status, message, INVALID, null, "invalid_request", null);
  }

  public static ApiException tooManyRequests(String message) {
    return new ApiException(429, message, "rate_limit_error", null, "rate_limit_exceeded", null);
  }

  public static ApiException unavailable(String message) {
    return new ApiException(503, message, "server_error", null, "service_unavailable", null);
  }

  /** What went wrong inside is for the log, not for the client. */
  public static ApiException internal() {
    return failed("The server had an error while processing the request.");
  }

  /** A fault of ours that has a message for the client. */
  public static ApiException failed(String message) {
    return new ApiException(500, message, "server_error", null, "internal_error", null);
  }

  /** The engine's refusals and our own faults as the client shall see them. */
  public static ApiException of(Throwable failure) {
    return switch (failure) {
      case ApiException e -> e;
      case InvalidRequestException e ->
          new ApiException(400, text(e), INVALID, e.param(), e.code(), null);
      case OverloadedException e -> e.closing() ? unavailable(text(e)) : tooManyRequests(text(e));
      default -> internal();
    };
  }

  private static String text(Throwable failure) {
    String message = failure.getMessage();
    return message == null ? "The request can't be run." : message;
  }

  /** The same with its field by another name, in the message too. */
  ApiException renamed(UnaryOperator<String> names) {
    ErrorBody.Detail detail = body.error();
    if (detail.param() == null) {
      return this;
    }
    String param = names.apply(detail.param());
    return new ApiException(
        status,
        detail.message().replace(detail.param(), param),
        detail.type(),
        param,
        detail.code(),
        allow);
  }

  /** Of HTTP. */
  public int status() {
    return status;
  }

  /** What HTTP answers. */
  public ErrorBody body() {
    return body;
  }

  /** Value of the Allow header, where there is to be one. */
  @Nullable String allow() {
    return allow;
  }

  /** Seconds after which trying again makes sense, or 0. */
  public int retryAfterSeconds() {
    return status == 429 || status == 503 ? RETRY_AFTER_SECONDS : 0;
  }
}
