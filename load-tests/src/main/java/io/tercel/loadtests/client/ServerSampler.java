package io.tercel.loadtests.client;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Reads a server's /metrics again and again, on a thread of its own, until it is closed. */
public final class ServerSampler implements AutoCloseable {
  private final ServerProbe probe;
  private final Duration interval;
  private final List<ServerSample> samples = new ArrayList<>();
  private final Thread thread;

  /** Begins. */
  public ServerSampler(ServerProbe probe, Duration interval) {
    this.probe = probe;
    this.interval = interval;
    this.thread = Thread.ofVirtual().name("server-metrics").start(this::sample);
  }

  private void sample() {
    try {
      while (true) {
        probe
            .metrics()
            .ifPresent(
                text -> {
                  synchronized (samples) {
                    samples.add(ServerSample.parse(text, System.nanoTime()));
                  }
                });
        Thread.sleep(interval);
      }
    } catch (InterruptedException e) {
      // closed
    }
  }

  /** What has been read so far; empty if the server has no metrics. */
  public List<ServerSample> samples() {
    synchronized (samples) {
      return List.copyOf(samples);
    }
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
