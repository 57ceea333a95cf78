package io.tercel.loadtests.compare;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The requests of a saved result that were answered, in the order of their times. {@code tercel
 * bench serve --save-detailed} writes it, {@code vllm bench serve} too.
 */
public final class SavedRun {
  /**
   * One request; seconds.
   *
   * @param start when it was to be sent, from the run's start; NaN if the file doesn't say
   * @param ttft to its first token
   * @param itls between its tokens' arrivals
   * @param e2el to its end
   */
  record Request(
      double start,
      double ttft,
      @SuppressWarnings("ArrayRecordComponent") double[] itls,
      double e2el,
      int outputTokens) {}

  private final List<Request> requests;
  private final double duration;

  private SavedRun(List<Request> requests, double duration) {
    this.requests = requests;
    this.duration = duration;
  }

  /**
   * Reads a result.
   *
   * @throws ComparisonException if it is none, has no entry a request, or too few
   */
  public static SavedRun read(Path file) throws IOException {
    JsonNode json;
    try {
      json = new ObjectMapper().readTree(file.toFile());
    } catch (JsonProcessingException e) {
      throw new ComparisonException(
          "%s: not JSON in line %d".formatted(file, e.getLocation().getLineNr()), e);
    }
    double duration = json.path("duration").asDouble();
    if (!(duration > 0)) {
      throw new ComparisonException(file + ": has no duration; expected a result of bench serve");
    }
    int count = json.path("ttfts").size();
    if (count == 0
        || json.path("itls").size() != count
        || json.path("output_lens").size() != count) {
      throw new ComparisonException(
          file + ": has no ttfts, itls and output_lens; save results with --save-detailed");
    }
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (isAnswered(json, i)) {
        requests.add(request(json, i));
      }
    }
    if (requests.size() < 2) {
      throw new ComparisonException(file + ": fewer than two requests were answered");
    }
    requests.sort(Comparator.comparingDouble(Request::start));
    return new SavedRun(requests, duration);
  }

  private static boolean isAnswered(JsonNode json, int i) {
    return json.path("errors").path(i).asText().isEmpty()
        && json.path("clients").path(i).asText("patient").equals("patient")
        && json.path("output_lens").path(i).asInt() > 0;
  }

  private static Request request(JsonNode json, int i) {
    JsonNode list = json.path("itls").path(i);
    double[] itls = new double[list.size()];
    double sum = 0;
    for (int k = 0; k < itls.length; k++) {
      itls[k] = list.get(k).asDouble();
      sum += itls[k];
    }
    double ttft = json.path("ttfts").path(i).asDouble();
    return new Request(
        json.path("start_times").path(i).asDouble(Double.NaN),
        ttft,
        itls,
        json.path("latencies").path(i).asDouble(ttft + sum),
        json.path("output_lens").path(i).asInt());
  }

  List<Request> requests() {
    return requests;
  }

  /** How many were answered. */
  public int size() {
    return requests.size();
  }

  double duration() {
    return duration;
  }

  /** Whether the file says when requests were sent. */
  boolean hasTimes() {
    return !Double.isNaN(requests.getFirst().start());
  }
}
