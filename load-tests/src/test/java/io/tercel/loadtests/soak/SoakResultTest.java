package io.tercel.loadtests.soak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Window;
import io.tercel.loadtests.traffic.RunResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/** What a soak complains of. */
class SoakResultTest {
  private static final double MIB = 1 << 20;
  private static final ServerSample IDLE = sample(0, 300 * MIB, 0, 0);

  @Test
  void nothing_whereOnlyPlacesWereRefused() {
    SoakResult result = result(List.of(done(), refused(429)), level(300), IDLE, List.of());
    assertEquals(List.of(), result.complaints());
    assertTrue(SoakTable.of(result).contains("resident memory, medians"), SoakTable.of(result));
  }

  @Test
  void whatElseWasAnswered() {
    SoakResult result =
        result(
            List.of(done(), refused(429), refused(503), refused(503)), level(300), IDLE, List.of());
    assertEquals(List.of("2 × http_503: no"), result.complaints());
  }

  @Test
  void aClassThatNobodyAnswered() {
    SoakResult result = result(List.of(refused(429)), level(300), IDLE, List.of());
    assertEquals(List.of("nobody of class chat was answered"), result.complaints());
  }

  @Test
  void blocksThatAreLeft() {
    SoakResult result = result(List.of(done()), level(300), sample(0, 1, 0, 0.01), List.of());
    assertEquals(1, result.complaints().size());
    assertTrue(result.complaints().getFirst().startsWith("something still runs"));
  }

  @Test
  void weightsThatWereRefused() {
    SoakResult result = result(List.of(done()), level(300), IDLE, List.of("400: other shapes"));
    assertEquals(List.of("new weights: 400: other shapes"), result.complaints());
  }

  @Test
  void memoryThatGoesOnGrowing() {
    List<ServerSample> leak = new ArrayList<>();
    for (int i = 0; i < 90; i++) {
      leak.add(sample(i, (300 + i) * MIB, 5, 0.5)); // 30 MiB from a third to the next
    }
    SoakResult result = result(List.of(done()), leak, IDLE, List.of());
    assertEquals(List.of("memory outside the heap grew from 245 to 275 MiB"), result.complaints());
  }

  /** Garbage that nothing had to collect yet is no leak; what a collection leaves is. */
  @Test
  void heap_byWhatCollectionsLeave() {
    List<ServerSample> garbage = new ArrayList<>();
    List<ServerSample> leak = new ArrayList<>();
    for (int i = 0; i < 90; i++) {
      garbage.add(sample(i, new Memory((300 + i) * MIB, (100 + i) * MIB, 40 * MIB), 5, 0.5));
      leak.add(sample(i, new Memory(600 * MIB, 300 * MIB, (40 + i) * MIB), 5, 0.5));
    }
    assertEquals(List.of(), result(List.of(done()), garbage, IDLE, List.of()).complaints());
    assertEquals(
        List.of("what collections left of the heap grew from 85 to 115 MiB"),
        result(List.of(done()), leak, IDLE, List.of()).complaints());
  }

  /** Growth while everything is seen for the first time is no leak. */
  @Test
  void memoryThatGrewAtFirst() {
    List<ServerSample> warm = new ArrayList<>();
    for (int i = 0; i < 90; i++) {
      warm.add(sample(i, (300 + 10 * Math.min(i, 29)) * MIB, 5, 0.5));
    }
    assertTrue(MemoryTrend.of(s -> s.values().get(ServerSample.RESIDENT), warm).flat());
    assertFalse(new MemoryTrend(1000 * MIB, 1051 * MIB).flat());
    assertTrue(new MemoryTrend(100 * MIB, 115 * MIB).flat());
  }

  private static SoakResult result(
      List<RequestTrace> traces,
      List<ServerSample> samples,
      ServerSample after,
      List<String> faults) {
    RunResult run = new RunResult(traces, new Window(0, 1_000_000_000));
    return new SoakResult(Map.of("chat", run), samples, after, List.of(), faults);
  }

  private static List<ServerSample> level(int mib) {
    List<ServerSample> samples = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      samples.add(sample(i, mib * MIB, 5, 0.5));
    }
    return samples;
  }

  /** A process's, its heap's in use, and what collections left of that. */
  private record Memory(double resident, double heap, double live) {}

  private static ServerSample sample(long nanos, double resident, double running, double usage) {
    return sample(nanos, new Memory(resident, 100 * MIB, 40 * MIB), running, usage);
  }

  private static ServerSample sample(long nanos, Memory memory, double running, double usage) {
    return new ServerSample(
        nanos,
        Map.of(
            ServerSample.RESIDENT,
            memory.resident(),
            "jvm_memory_bytes_used",
            memory.heap(),
            ServerSample.LIVE,
            memory.live(),
            "vllm:num_requests_running",
            running,
            "vllm:num_requests_waiting",
            0.0,
            "vllm:kv_cache_usage_perc",
            usage));
  }

  private static RequestTrace trace() {
    return new RequestTrace(0, RequestTrace.Client.PATIENT, 0, false);
  }

  private static RequestTrace done() {
    RequestTrace trace = trace();
    trace.tokens(10, true);
    trace.completed(20);
    return trace;
  }

  private static RequestTrace refused(int status) {
    RequestTrace trace = trace();
    trace.failed(10, Failure.status(status, "no", OptionalDouble.empty()));
    return trace;
  }
}
