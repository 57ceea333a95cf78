package io.tercel.loadtests.metrics;

import java.util.OptionalDouble;

/**
 * Why a request failed.
 *
 * @param cause what to count it under, such as {@code http_429}, {@code connection}, {@code stream}
 *     or {@code timeout}
 * @param message one line for people
 * @param retryAfter the server's Retry-After, in seconds
 */
public record Failure(String cause, String message, OptionalDouble retryAfter) {
  /** The server answered with another status than 200. */
  public static Failure status(int status, String message, OptionalDouble retryAfter) {
    return new Failure("http_" + status, message, retryAfter);
  }

  /** A gRPC call ended with another status than OK. */
  public static Failure grpc(String code, String message, OptionalDouble retryAfter) {
    return new Failure("grpc_" + code, message, retryAfter);
  }

  /** No connection, or it broke before an answer came. */
  public static Failure connection(String message) {
    return new Failure("connection", message, OptionalDouble.empty());
  }

  /** The answer began, and then broke off or told of an error. */
  public static Failure stream(String message) {
    return new Failure("stream", message, OptionalDouble.empty());
  }

  /** The answer took longer than the client waits. */
  public static Failure timeout(String message) {
    return new Failure("timeout", message, OptionalDouble.empty());
  }
}
