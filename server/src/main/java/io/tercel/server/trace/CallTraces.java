package io.tercel.server.trace;

import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.tercel.server.call.CallObserver;
import io.tercel.server.call.CallRecord;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Sends a trace of every call to an OTLP endpoint, over HTTP, in batches on a thread of the
 * library's. OpenTelemetry's own variables ({@code OTEL_SERVICE_NAME}, {@code OTEL_TRACES_SAMPLER},
 * {@code OTEL_EXPORTER_OTLP_HEADERS}, {@code OTEL_BSP_…}) say the rest.
 */
public final class CallTraces implements CallObserver, AutoCloseable {
  /** The library's own log goes to the console as it is; held here, since it may be collected. */
  private static final Logger LIBRARY_LOG = Logger.getLogger("io.opentelemetry");

  static {
    LIBRARY_LOG.setLevel(Level.WARNING);
  }

  private final OpenTelemetrySdk sdk;
  private final CallSpans spans;

  private CallTraces(OpenTelemetrySdk sdk, String version) {
    this.sdk = sdk;
    this.spans = new CallSpans(sdk.getTracerProvider().get("io.tercel.server", version));
  }

  /**
   * Traces of a server.
   *
   * @param endpoint such as {@code http://127.0.0.1:4318}; the path of OTLP is added
   * @param version of the server
   * @throws RuntimeException of the library's, if a variable says something that is none
   */
  public static CallTraces to(String endpoint, String version) {
    return to(endpoint, version, Map.of());
  }

  /** The same with other settings, by the names of OpenTelemetry's properties. */
  static CallTraces to(String endpoint, String version, Map<String, String> settings) {
    Map<String, String> defaults = new HashMap<>();
    defaults.put("otel.service.name", "tercel");
    defaults.put("otel.metrics.exporter", "none");
    defaults.put("otel.logs.exporter", "none");
    Map<String, String> fixed = new HashMap<>(settings);
    fixed.put("otel.exporter.otlp.endpoint", endpoint);
    fixed.put("otel.exporter.otlp.protocol", "http/protobuf"); // the JDK's client has no gRPC
    return new CallTraces(
        AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(() -> defaults)
            .addPropertiesCustomizer(_ -> fixed)
            .disableShutdownHook()
            .build()
            .getOpenTelemetrySdk(),
        version);
  }

  @Override
  public void ended(CallRecord call) {
    spans.record(call);
  }

  /** Sends what waits, for a few seconds at most. */
  @Override
  public void close() {
    sdk.shutdown().join(5, TimeUnit.SECONDS);
  }
}
