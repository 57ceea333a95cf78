package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.call.CallObserver;
import io.tercel.server.log.RequestLog;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.Release;
import io.tercel.server.trace.CallTraces;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The request log and the traces of a server, as far as there are such. */
final class Observation implements AutoCloseable {
  private final @Nullable RequestLog log;
  private final @Nullable CallTraces traces;

  private Observation(@Nullable RequestLog log, @Nullable CallTraces traces) {
    this.log = log;
    this.traces = traces;
  }

  /**
   * As options give them.
   *
   * @param requestLog a file, or - for standard output; null for none
   * @param otlpEndpoint an address; null or empty for none
   * @throws UserException that names the option
   */
  static Observation of(@Nullable String requestLog, @Nullable String otlpEndpoint) {
    CallTraces traces = traces(otlpEndpoint);
    try {
      return new Observation(log(requestLog), traces);
    } catch (RuntimeException e) {
      if (traces != null) {
        traces.close();
      }
      throw e;
    }
  }

  private static @Nullable RequestLog log(@Nullable String file) {
    if (file == null) {
      return null;
    }
    try {
      return file.equals("-") ? RequestLog.to(System.out) : RequestLog.to(Path.of(file));
    } catch (IOException e) {
      throw new UserException("--request-log: can't write " + file + ": " + e, e);
    }
  }

  private static @Nullable CallTraces traces(@Nullable String endpoint) {
    if (endpoint == null || endpoint.isEmpty()) {
      return null;
    }
    if (!endpoint.matches("https?://[^/]+.*")) {
      throw new UserException(
          "--otlp-endpoint: expected an address such as http://127.0.0.1:4318, not " + endpoint);
    }
    try {
      return CallTraces.to(endpoint, Release.VERSION);
    } catch (RuntimeException e) { // the library's own, for what its variables say
      throw new UserException("--otlp-endpoint: " + e.getMessage(), e);
    }
  }

  /** Is told of every call that has ended. */
  CallObserver observer() {
    CallObserver first = log == null ? CallObserver.NONE : log;
    return traces == null ? first : log == null ? traces : first.and(traces);
  }

  /** Tells of itself. */
  void report(ServerMetrics metrics) {
    if (log != null) {
      metrics.reading("tercel_request_log_lines", "Lines of the request log.", true, log::lines);
      metrics.reading(
          "tercel_request_log_dropped",
          "Lines of the request log that came too fast, or could not be written.",
          true,
          log::dropped);
    }
  }

  /** Writes and sends what waits. */
  @Override
  public void close() {
    if (log != null) {
      log.close();
    }
    if (traces != null) {
      traces.close();
    }
  }
}
