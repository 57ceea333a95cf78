package io.tercel.loadtests.soak;

import io.tercel.loadtests.client.AdminClient;
import io.tercel.loadtests.client.ServerProbe;
import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.client.ServerSampler;
import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.traffic.ClientMix;
import io.tercel.loadtests.traffic.LoadRun;
import io.tercel.loadtests.traffic.RunListener;
import io.tercel.loadtests.traffic.RunResult;
import io.tercel.loadtests.traffic.TrafficPlan;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * Clients of all classes of service at once, more than the server takes, some of whom leave or
 * hardly read, while its weights change. Runs once.
 */
public final class Soak {
  private static final Duration SAMPLES = Duration.ofSeconds(2);
  private static final Duration SETTLING = Duration.ofSeconds(30);
  private static final long INDEX_STRIDE = 1L << 40;

  /**
   * The clients of one class.
   *
   * @param name of the class
   * @param target asks in its name
   * @param clients at a time
   */
  public record Load(String name, Target target, int clients) {}

  /**
   * When weights change.
   *
   * @param admin by whom
   * @param directories whose weights come in turn; one at least
   */
  public record Updates(AdminClient admin, List<String> directories, Duration interval) {
    public Updates {
      directories = List.copyOf(directories);
    }
  }

  private final List<Load> loads;
  private final Dataset dataset;
  private final @Nullable Updates updates;
  private final ServerProbe probe;
  private final Duration duration;
  private final ClientMix mix;

  /**
   * Sends nothing yet.
   *
   * @param updates null if weights stay
   */
  public Soak(
      List<Load> loads,
      Dataset dataset,
      @Nullable Updates updates,
      ServerProbe probe,
      Duration duration,
      ClientMix mix) {
    this.loads = List.copyOf(loads);
    this.dataset = dataset;
    this.updates = updates;
    this.probe = probe;
    this.duration = duration;
    this.mix = mix;
  }

  /** Runs for its time, and says what it came to when everything has ended. */
  public SoakResult run(RunListener listener) throws InterruptedException {
    try (ServerSampler sampler = new ServerSampler(probe, SAMPLES);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Map<String, RunResult> results = new LinkedHashMap<>();
      Updates changes = updates;
      if (changes == null) {
        runAll(threads, listener, results);
        return new SoakResult(results, sampler.samples(), idle(sampler), List.of(), List.of());
      }
      try (WeightUpdates changing = new WeightUpdates(changes)) {
        runAll(threads, listener, results);
        List<ServerSample> samples = sampler.samples();
        changing.close();
        return new SoakResult(
            results, samples, idle(sampler), changing.seconds(), changing.faults());
      }
    }
  }

  private void runAll(ExecutorService threads, RunListener listener, Map<String, RunResult> results)
      throws InterruptedException {
    List<Future<RunResult>> running = new ArrayList<>();
    for (int i = 0; i < loads.size(); i++) {
      Load load = loads.get(i);
      TrafficPlan plan =
          new TrafficPlan(
              0,
              duration.toNanos(),
              Double.POSITIVE_INFINITY,
              1,
              load.clients(),
              i * INDEX_STRIDE,
              mix.seed());
      LoadRun run = new LoadRun(load.target(), dataset, plan, mix, false, listener);
      running.add(threads.submit(run::run));
    }
    try {
      for (int i = 0; i < loads.size(); i++) {
        results.put(loads.get(i).name(), running.get(i).get());
      }
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }

  /** The first sample in which nothing runs, waits or holds a block; the last one if none came. */
  private static ServerSample idle(ServerSampler sampler) throws InterruptedException {
    long deadline = System.nanoTime() + SETTLING.toNanos();
    long ended = System.nanoTime();
    while (true) {
      List<ServerSample> since = sampler.samples().stream().filter(s -> s.nanos() > ended).toList();
      for (ServerSample sample : since) {
        if (SoakResult.isIdle(sample)) {
          return sample;
        }
      }
      if (System.nanoTime() > deadline) {
        return since.isEmpty() ? new ServerSample(ended, Map.of()) : since.getLast();
      }
      Thread.sleep(100);
    }
  }
}
