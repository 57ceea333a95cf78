package io.tercel.server.log;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.CallUsage;
import io.tercel.server.call.Json;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A call as a line of JSON. What it hasn't got is left out. */
final class RequestLine {
  private RequestLine() {}

  /** Whether it is one that a log shall have: it asked for work, or it was refused. */
  static boolean isFor(CallRecord call) {
    return call.asksForWork() || call.error() != null;
  }

  static ObjectNode of(CallRecord call) {
    ObjectNode line = Json.MAPPER.createObjectNode();
    line.put("time", call.time().truncatedTo(ChronoUnit.MILLIS).toString());
    line.put("request_id", call.id());
    put(line, "key", call.isAdmitted() ? call.holder().name() : null);
    line.put("wire", call.wire());
    put(line, "route", call.route().isEmpty() ? null : call.route());
    put(line, "status", call.status());
    put(line, "error", call.error());
    put(line, "model", call.model());
    put(line, "answer_id", call.answerId());
    if (call.serviceClass() != null) {
      line.put("class", call.serviceClass().label());
    }
    CallUsage usage = call.usage();
    if (usage.choices() > 0) {
      generated(line, call, usage);
    }
    line.put("e2e_ms", millis(call.took().toNanos()));
    line.put("client_closed", call.isClientGone());
    return line;
  }

  private static void generated(ObjectNode line, CallRecord call, CallUsage usage) {
    line.put("choices", usage.choices());
    line.put("stop", String.join(",", usage.stops()));
    line.put("prompt_tokens", usage.promptTokens());
    line.put("cached_tokens", usage.cachedTokens());
    line.put("completion_tokens", usage.completionTokens());
    line.put("reasoning_tokens", usage.reasoningTokens());
    if (usage.queuedNanos() >= 0) {
      line.put("queue_ms", millis(usage.queuedNanos()));
    }
    if (usage.firstToken() >= 0) {
      line.put("ttft_ms", millis(usage.firstToken() - call.arrived()));
      line.put("weight_version", usage.weightVersion());
    }
  }

  private static void put(ObjectNode line, String name, @Nullable String value) {
    if (value != null) {
      line.put(name, value);
    }
  }

  /** To the microsecond. */
  private static double millis(long nanos) {
    return TimeUnit.NANOSECONDS.toMicros(nanos) / 1e3;
  }
}
