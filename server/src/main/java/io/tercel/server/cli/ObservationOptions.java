package io.tercel.server.cli;

import io.tercel.server.UserException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What is told of requests to those who run a server. */
final class ObservationOptions {
  @Option(
      names = "--request-log",
      paramLabel = "FILE",
      description =
          "append a line of JSON for each request that has ended, without a word of what was said;"
              + " - is standard output (default: none)")
  private @Nullable String requestLog;

  @Option(
      names = "--otlp-endpoint",
      paramLabel = "URL",
      defaultValue = "${env:OTEL_EXPORTER_OTLP_ENDPOINT}",
      description =
          "send OpenTelemetry traces there by OTLP over HTTP, such as http://127.0.0.1:4318"
              + " (default: OTEL_EXPORTER_OTLP_ENDPOINT from the environment, else none)")
  private @Nullable String otlpEndpoint;

  /**
   * Begins with it.
   *
   * @throws UserException that names the option
   */
  Observation begin() {
    return Observation.of(requestLog, otlpEndpoint);
  }
}
