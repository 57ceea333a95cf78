package io.tercel.trainer.torch;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;

/**
 * PyTorch, loaded at first use and set up to give the same bits each time: a fixed number of
 * threads, nothing fetched, nothing reported. It is the CPU's; the library is unpacked once into
 * {@code ~/.djl.ai} or {@code DJL_CACHE_DIR}.
 *
 * <p>The thread that loads it is the one to train on, for the number of threads is per thread.
 */
public final class Torch {
  private static final String THREADS = "ai.djl.pytorch.num_threads";

  private Torch() {}

  /** A manager whose arrays live until it is closed. */
  public static NDManager newManager() {
    return engine().newBaseManager(Device.cpu());
  }

  /** Records operations until closed; there is one at a time in a JVM. */
  public static GradientCollector newGradientCollector() {
    return engine().newGradientCollector();
  }

  private static Engine engine() {
    return Holder.ENGINE;
  }

  private static final class Holder {
    private static final Engine ENGINE = load();

    private static Engine load() {
      System.setProperty("ai.djl.offline", "true");
      System.setProperty("OPT_OUT_TRACKING", "true");
      // scripts would be compiled anew after their first calls, and give other last bits then
      System.setProperty("ai.djl.pytorch.graph_optimizer", "false");
      if (System.getProperty(THREADS) == null) {
        int threads = Math.min(8, Runtime.getRuntime().availableProcessors());
        System.setProperty(THREADS, Integer.toString(threads));
      }
      return Engine.getEngine("PyTorch");
    }
  }
}
