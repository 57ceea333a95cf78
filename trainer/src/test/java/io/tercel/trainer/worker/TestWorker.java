package io.tercel.trainer.worker;

import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.call.Keys;
import io.tercel.server.cli.ModelServing;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineStats;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;

/** What {@code tercel serve MODEL --grpc-port P --admin-key KEY} is, in this JVM. */
final class TestWorker implements AutoCloseable {
  static final String KEY = "worker-key";

  private final RunningModel model;
  private final ModelServing serving;
  private final int port;
  private boolean dead;

  /**
   * @param onPort 0 picks one
   */
  TestWorker(Path directory, String kv, int onPort) {
    ServingOptions options =
        new ServingOptions().kvCacheDtype(kv).maxNumSeqs(32).maxModelLen(256).threads(1);
    model = RunningModel.open(directory, options, null, LoadProgress.SILENT);
    serving =
        ModelServing.start(
            model,
            new ServeAddress(ServeAddress.LOOPBACK, 0, onPort),
            Keys.of(null, KEY),
            Duration.ofSeconds(1),
            List.of());
    this.port = Objects.requireNonNull(serving.grpcPort());
  }

  int port() {
    return port;
  }

  String address() {
    return ServeAddress.LOOPBACK + ":" + port;
  }

  Engine engine() {
    return model.served().engine();
  }

  WeightStore weights() {
    return model.running().weights();
  }

  String checksum() {
    return WeightChecksum.of(weights()).hex();
  }

  long version() {
    return weights().version();
  }

  long tokens() {
    return engine().stats().work().generationTokens();
  }

  /** Stops it in the middle: it holds answers that it never ends. */
  void hang() throws InterruptedException {
    await(() -> tokens() > 0);
    engine().pause().join();
    await(this::holdsAnswers);
  }

  /** Takes a step now and then, until it is interrupted. */
  void crawl(int millis) {
    try {
      while (true) {
        engine().pause().get();
        Thread.sleep(millis);
        engine().resume();
      }
    } catch (InterruptedException | ExecutionException e) {
      engine().resume();
    }
  }

  boolean holdsAnswers() {
    EngineStats stats = engine().stats();
    return stats.running() + stats.waiting() > 0;
  }

  static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("it didn't come to that");
      }
      Thread.sleep(1);
    }
  }

  /** Has it read its directory again. */
  void reload() {
    long unused = model.servedWeights().reload();
  }

  /** Cuts its connections. */
  void kill() {
    if (!dead) {
      dead = true;
      serving.close();
      model.close();
    }
  }

  @Override
  public void close() {
    kill();
  }
}
