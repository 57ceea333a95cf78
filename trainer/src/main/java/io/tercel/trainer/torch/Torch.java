package io.tercel.trainer.torch;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import io.tercel.server.UserException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * PyTorch, loaded at first use and set up to give the same bits each time: a fixed number of
 * threads, nothing fetched, nothing reported. Arrays are the CPU's unless it is told otherwise; the
 * library is unpacked once into {@code ~/.djl.ai} or {@code DJL_CACHE_DIR}.
 *
 * <p>The thread that loads it is the one to train on, for the number of threads is per thread.
 */
public final class Torch {
  private static final String THREADS = "ai.djl.pytorch.num_threads";

  private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d{1,3}))?");

  private static volatile Device device = Device.cpu();

  private Torch() {}

  /**
   * Says where the arrays of managers from now on are.
   *
   * @param name {@code cpu}, {@code cuda} or {@code cuda:N}
   * @throws UserException if there is none of that name; the message says what it takes
   */
  public static void use(String name) {
    Matcher cuda = CUDA.matcher(name);
    if (name.equals("cpu")) {
      device = Device.cpu();
    } else if (cuda.matches()) {
      int number = cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1));
      int count = engine().getGpuCount();
      if (number >= count) {
        throw new UserException(
            ("--device: %s, but PyTorch finds %s: it takes a driver, and PyTorch's CUDA library"
                    + " (pytorch-native-cu… of DJL) on the class path in place of"
                    + " pytorch-native-cpu")
                .formatted(name, count == 0 ? "no CUDA device" : count + " CUDA devices"));
      }
      device = Device.gpu(number);
    } else {
      throw new UserException("--device: " + name + "; cpu, cuda or cuda:N");
    }
  }

  /** A manager whose arrays live until it is closed. */
  public static NDManager newManager() {
    return engine().newBaseManager(device);
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
