package io.tercel.server.call;

import io.tercel.server.engine.InvalidRequestException;
import io.tercel.server.engine.OverloadedException;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * An answer that is an error: a status and what explains it, which each wire writes in its own
 * form. Carries no stack trace.
 */
public final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Long enough for a few requests to finish, short enough for a client to wait. */
  private static final int RETRY_AFTER_SECONDS = 2;

  private final int status;
  private final @Nullable String param;
  private final @Nullable String code;
  private final @Nullable String allow;
  private final int retryAfterSeconds;
  private final transient Map<String, String> headers;

  private ApiException(
      int status,
      String message,
      @Nullable String param,
      @Nullable String code,
      @Nullable String allow) {
    this(status, message, param, code, allow, retryAfter(status), Map.of());
  }

  private ApiException(
      int status,
      String message,
      @Nullable String param,
      @Nullable String code,
      @Nullable String allow,
      int retryAfterSeconds,
      Map<String, String> headers) {
    super(message, null, false, false);
    this.status = status;
    this.param = param;
    this.code = code;
    this.allow = allow;
    this.retryAfterSeconds = retryAfterSeconds;
    this.headers = headers;
  }

  private static int retryAfter(int status) {
    return status == 429 || status == 503 ? RETRY_AFTER_SECONDS : 0;
  }

  /** A field with a wrong type or a value out of range. */
  public static ApiException invalid(String param, String message) {
    return new ApiException(400, message, param, "invalid_value", null);
  }

  /** A field that is known, with a value that this server can't honour. */
  public static ApiException unsupported(String param, String message) {
    return new ApiException(400, message, param, "unsupported_value", null);
  }

  public static ApiException missing(String param) {
    return new ApiException(400, param + " is required", param, "missing_required_parameter", null);
  }

  public static ApiException contextLength(String param, String message) {
    return new ApiException(400, message, param, "context_length_exceeded", null);
  }

  /** A request that isn't HTTP or JSON as it should be. */
  public static ApiException malformed(String message) {
    return new ApiException(400, message, null, "invalid_request", null);
  }

  public static ApiException unauthorized(boolean given) {
    String message =
        given
            ? "Incorrect API key provided."
            : "No API key provided: send it as 'Authorization: Bearer KEY'.";
    return new ApiException(401, message, null, "invalid_api_key", null);
  }

  /** A key that was good when the request came, and is so no more. */
  public static ApiException revoked() {
    return new ApiException(
        401, "The API key is not valid any more.", null, "invalid_api_key", null);
  }

  /** Something that the caller's key doesn't open. */
  public static ApiException forbidden(String message) {
    return new ApiException(403, message, null, "permission_denied", null);
  }

  /** A field's value that the caller's key doesn't allow. */
  public static ApiException forbidden(String param, String message) {
    return new ApiException(403, message, param, "permission_denied", null);
  }

  public static ApiException modelNotFound(String model) {
    String message = "The model `" + model + "` does not exist.";
    return new ApiException(404, message, "model", "model_not_found", null);
  }

  /** No request of that id runs or waits. */
  public static ApiException requestNotFound(String id) {
    String message = "no request '" + shown(id) + "' runs or waits (request_id)";
    return new ApiException(404, message, "request_id", "request_not_found", null);
  }

  /** No response of that id is kept, or none any more. */
  public static ApiException responseNotFound(String id) {
    String message = "Response with id '" + shown(id) + "' not found.";
    return new ApiException(404, message, null, "response_not_found", null);
  }

  /** The same, where a request goes on from it. */
  public static ApiException previousResponseNotFound(String id) {
    String message = "Previous response with id '" + shown(id) + "' not found.";
    return new ApiException(
        400, message, "previous_response_id", "previous_response_not_found", null);
  }

  private static String shown(String id) {
    return id.length() > 128 ? id.substring(0, 128) + "…" : id;
  }

  /** Something that can't be done as things are. */
  public static ApiException conflict(String message) {
    return new ApiException(409, message, null, "failed_precondition", null);
  }

  public static ApiException unknownRoute(String method, String path) {
    String message = "Unknown route: " + method + " " + path;
    return new ApiException(404, message, null, "unknown_url", null);
  }

  public static ApiException methodNotAllowed(String method, String path, String allow) {
    String message = method + " is not allowed on " + path + ": use " + allow;
    return new ApiException(405, message, null, "method_not_allowed", allow);
  }

  /** An origin or a host that has no business here. */
  public static ApiException forbiddenOrigin(String message) {
    return new ApiException(403, message, null, "forbidden_origin", null);
  }

  public static ApiException timeout(String message) {
    return new ApiException(408, message, null, "request_timeout", null);
  }

  public static ApiException tooLarge(long limit) {
    String message = "The request body is larger than the limit of " + limit + " bytes.";
    return new ApiException(413, message, null, "request_too_large", null);
  }

  public static ApiException mediaType(String message) {
    return new ApiException(415, message, null, "unsupported_media_type", null);
  }

  /** A head that breaks a limit or a rule of HTTP. */
  public static ApiException badHead(int status, String message) {
    return new ApiException(status, message, null, "invalid_request", null);
  }

  public static ApiException tooManyRequests(String message) {
    return new ApiException(429, message, null, "rate_limit_exceeded", null);
  }

  /**
   * More than the caller's key allows.
   *
   * @param retryAfterSeconds when it would be allowed
   * @param headers of the answer: how much is left, and when there is more
   */
  public static ApiException overLimit(
      String message, int retryAfterSeconds, Map<String, String> headers) {
    return new ApiException(
        429, message, null, "rate_limit_exceeded", null, retryAfterSeconds, headers);
  }

  public static ApiException unavailable(String message) {
    return new ApiException(503, message, null, "service_unavailable", null);
  }

  /** What went wrong inside is for the log, not for the client. */
  public static ApiException internal() {
    return failed("The server had an error while processing the request.");
  }

  /** A fault of ours that has a message for the client. */
  public static ApiException failed(String message) {
    return new ApiException(500, message, null, "internal_error", null);
  }

  /** The engine's refusals and our own faults as the client shall see them. */
  public static ApiException of(Throwable failure) {
    return switch (failure) {
      case ApiException e -> e;
      case InvalidRequestException e -> new ApiException(400, text(e), e.param(), e.code(), null);
      case OverloadedException e -> e.closing() ? unavailable(text(e)) : tooManyRequests(text(e));
      default -> internal();
    };
  }

  private static String text(Throwable failure) {
    String message = failure.getMessage();
    return message == null ? "The request can't be run." : message;
  }

  /**
   * The same with fields by other names.
   *
   * @param names puts a field's name, or all those in a message, into others
   */
  public ApiException renamed(UnaryOperator<String> names) {
    return new ApiException(
        status,
        names.apply(String.valueOf(getMessage())),
        param == null ? null : names.apply(param),
        code,
        allow,
        retryAfterSeconds,
        headers);
  }

  /** Of HTTP. */
  public int status() {
    return status;
  }

  /** The request's field that is to blame, where one is. */
  public @Nullable String param() {
    return param;
  }

  /** A word for programs, such as {@code context_length_exceeded}. */
  public @Nullable String code() {
    return code;
  }

  /** Value of the Allow header, where there is to be one. */
  public @Nullable String allow() {
    return allow;
  }

  /** Seconds after which trying again makes sense, or 0. */
  public int retryAfterSeconds() {
    return retryAfterSeconds;
  }

  /** What an answer says besides, by names of headers, where the body is not all of it. */
  public Map<String, String> headers() {
    return headers;
  }
}
