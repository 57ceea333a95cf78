package io.tercel.server.trace;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.CallUsage;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Makes the spans of a call once it has ended, from its record: one of the call, below whatever the
 * client says in {@code traceparent}, and below it one of each of its times. Attributes are those
 * of OpenTelemetry's conventions for generative AI, and vLLM's for latencies.
 */
final class CallSpans {
  /** What a route does, in the conventions' words; others are not traced. */
  private static final Map<String, String> OPERATIONS =
      Map.of(
          "/v1/chat/completions", "chat",
          "/v1/responses", "chat",
          "/v1/messages", "chat",
          "/v1/completions", "text_completion",
          "/generate", "text_completion",
          "tercel.v1.Inference/ChatCompletions", "chat",
          "tercel.v1.Inference/Generate", "text_completion");

  private static final TextMapGetter<CallRecord> HEADERS =
      new TextMapGetter<>() {
        @Override
        public Iterable<String> keys(CallRecord call) {
          return List.of("traceparent");
        }

        @Override
        public @Nullable String get(@Nullable CallRecord call, String key) {
          return call != null && key.equals("traceparent") ? call.traceParent() : null;
        }
      };

  private final Tracer tracer;

  CallSpans(Tracer tracer) {
    this.tracer = tracer;
  }

  void record(CallRecord call) {
    String operation = OPERATIONS.get(call.route());
    if (operation == null || !call.asksForWork()) {
      return;
    }
    Context parent = W3CTraceContextPropagator.getInstance().extract(Context.root(), call, HEADERS);
    String model = call.model();
    Span span =
        tracer
            .spanBuilder(model == null ? operation : operation + " " + model)
            .setParent(parent)
            .setSpanKind(SpanKind.SERVER)
            .setStartTimestamp(call.time())
            .startSpan();
    span.setAttribute("gen_ai.operation.name", operation);
    span.setAttribute("gen_ai.provider.name", "tercel");
    span.setAttribute("tercel.request.id", call.id());
    if (model != null) {
      span.setAttribute("gen_ai.request.model", model);
      span.setAttribute("gen_ai.response.model", model);
    }
    if (call.answerId() != null) {
      span.setAttribute("gen_ai.response.id", call.answerId());
    }
    if (call.serviceClass() != null) {
      span.setAttribute("tercel.service_class", call.serviceClass().label());
    }
    if (call.isAdmitted()) {
      span.setAttribute("tercel.key", call.holder().name());
    }
    wire(span, call);
    if (call.usage().choices() > 0) {
      usage(span, call, call.usage());
      times(parent.with(span), call, call.usage());
    }
    span.end(call.time().plus(call.took()));
  }

  private static void wire(Span span, CallRecord call) {
    String status = call.status();
    boolean http = call.wire().equals("http");
    if (http) {
      span.setAttribute("http.request.method", "POST");
      span.setAttribute("http.route", call.route());
      if (status != null) {
        span.setAttribute("http.response.status_code", Long.parseLong(status));
      }
    } else {
      span.setAttribute("rpc.system", "grpc");
      span.setAttribute("rpc.method", call.route());
      if (status != null) {
        span.setAttribute("rpc.response.status_code", status);
      }
    }
    String error =
        call.error() != null ? call.error() : call.isClientGone() ? "client_closed" : null;
    if (error != null) {
      span.setAttribute("error.type", error);
      // what a client did wrong is no error of the server's, by HTTP's conventions
      if (!call.isClientGone() && (!http || status == null || status.startsWith("5"))) {
        span.setStatus(StatusCode.ERROR);
      }
    }
  }

  private static void usage(Span span, CallRecord call, CallUsage usage) {
    span.setAttribute("gen_ai.usage.input_tokens", usage.promptTokens());
    span.setAttribute("gen_ai.usage.output_tokens", usage.completionTokens());
    span.setAttribute("gen_ai.usage.cache_read.input_tokens", usage.cachedTokens());
    span.setAttribute("gen_ai.usage.reasoning.output_tokens", usage.reasoningTokens());
    span.setAttribute("gen_ai.request.choice.count", (long) usage.choices());
    span.setAttribute(
        AttributeKey.stringArrayKey("gen_ai.response.finish_reasons"), List.copyOf(usage.stops()));
    span.setAttribute("gen_ai.latency.e2e", call.took().toNanos() / 1e9);
    if (usage.queuedNanos() >= 0) {
      span.setAttribute("gen_ai.latency.time_in_queue", usage.queuedNanos() / 1e9);
    }
    if (usage.firstToken() >= 0) {
      span.setAttribute(
          "gen_ai.latency.time_to_first_token", (usage.firstToken() - call.arrived()) / 1e9);
      span.setAttribute("tercel.weight_version", usage.weightVersion());
    }
  }

  private void times(Context below, CallRecord call, CallUsage usage) {
    if (usage.started() >= 0) {
      part(below, call, "queue", usage.started() - usage.queuedNanos(), usage.started());
    }
    if (usage.firstToken() >= 0) {
      part(below, call, "prefill", usage.started(), usage.firstToken());
      part(below, call, "decode", usage.firstToken(), usage.lastToken());
    }
  }

  private void part(Context below, CallRecord call, String name, long from, long to) {
    SpanBuilder part = tracer.spanBuilder(name).setParent(below).setStartTimestamp(at(call, from));
    part.startSpan().end(at(call, to));
  }

  private static Instant at(CallRecord call, long nanoTime) {
    return call.time().plusNanos(Math.max(0, nanoTime - call.arrived()));
  }
}
