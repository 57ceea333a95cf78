package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.BackendProvider;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.ComputeDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/** Opens {@link TornadoBackend}s; all that is missing is said in one line. */
public final class TornadoBackends implements BackendProvider {
  /**
   * Rows of passes that are captured as CUDA graphs, separated by commas; none, to capture nothing.
   * Each takes its time at start.
   */
  private static final String CAPTURE = "tercel.tornado.cudaGraphs";

  private static final String BUCKETS = "1,2,4,8,16,32,64";

  private static final double GIB = 1 << 30;

  @Override
  public String name() {
    return "tornado";
  }

  @Override
  public List<ComputeDevice> devices() {
    List<ComputeDevice> devices = new ArrayList<>();
    for (TornadoDevice device : all()) {
      devices.add(describe(device, devices.size()));
    }
    return devices;
  }

  private static ComputeDevice describe(TornadoDevice device, int index) {
    return new ComputeDevice(
        index,
        device.getPhysicalDevice().getDeviceName().strip(),
        "%s, %s".formatted(device.getTornadoVMBackend(), device.getPlatformName().strip()),
        device.getPhysicalDevice().getDeviceGlobalMemorySize(),
        device.getPhysicalDevice().getDeviceMaxAllocationSize());
  }

  /** The devices of all of TornadoVM's drivers, in its order. */
  private static List<TornadoDevice> all() {
    if (!"false".equalsIgnoreCase(System.getProperty("tornado.recover.bailout"))) {
      throw new BackendUnavailableException(
          "TornadoVM runs without its options, or not at all: start with ./tercel, where"
              + " TORNADOVM_HOME or /opt/tornadovm has its SDK");
    }
    try {
      TornadoRuntime runtime = TornadoRuntimeProvider.getTornadoRuntime();
      List<TornadoDevice> devices = new ArrayList<>();
      for (int i = 0; i < runtime.getNumBackends(); i++) {
        devices.addAll(runtime.getBackend(i).getAllDevices());
      }
      if (devices.isEmpty()) {
        throw new BackendUnavailableException("TornadoVM sees no device");
      }
      return devices;
    } catch (TornadoRuntimeException | LinkageError e) {
      throw new BackendUnavailableException("TornadoVM has no device: " + e.getMessage(), e);
    }
  }

  static TornadoDevice device(int index) {
    List<TornadoDevice> devices = all();
    if (index < 0 || index >= devices.size()) {
      throw new BackendUnavailableException(
          "no device %d; TornadoVM sees %d, numbered from 0".formatted(index, devices.size()));
    }
    return devices.get(index);
  }

  @Override
  public double readBandwidth(int index) {
    return DeviceBandwidth.measure(device(index));
  }

  @Override
  public Backend open(WeightStore weights, KvLayout layout, int numBlocks, int index) {
    TornadoDevice device = device(index);
    check(weights, layout, numBlocks, describe(device, index));
    boolean cuda = device.getTornadoVMBackend() == TornadoVMBackendType.CUDA;
    List<Integer> captured = buckets(System.getProperty(CAPTURE, BUCKETS));
    return new TornadoBackend(weights, layout, numBlocks, device, cuda ? captured : List.of());
  }

  /**
   * Rows of passes.
   *
   * @throws BackendUnavailableException if it isn't "none", nor ascending numbers
   */
  static List<Integer> buckets(String text) {
    if (text.equals("none")) {
      return List.of();
    }
    List<Integer> rows = new ArrayList<>();
    try {
      for (String each : text.split(",", -1)) {
        int last = rows.isEmpty() ? 0 : rows.getLast();
        rows.add(Integer.parseInt(each.strip()));
        if (rows.getLast() <= last || rows.getLast() > TornadoBackend.ROWS) {
          throw new NumberFormatException();
        }
      }
    } catch (NumberFormatException e) {
      throw new BackendUnavailableException(
          "-D%s=%s: none, or rows of passes, ascending and at most %d, as %s"
              .formatted(CAPTURE, text, TornadoBackend.ROWS, BUCKETS),
          e);
    }
    return rows;
  }

  private static void check(
      WeightStore weights, KvLayout layout, int numBlocks, ComputeDevice device) {
    ModelConfig config = weights.config();
    if (config.headDim() > KvTasks.MAX_HEAD_DIM) {
      throw new BackendUnavailableException(
          "heads of %d; its kernels take at most %d"
              .formatted(config.headDim(), KvTasks.MAX_HEAD_DIM));
    }
    if (weights.head().weight().format() == QuantFormat.Grouped.INT8G128) {
      throw new BackendUnavailableException(
          "it has no kernel for a head of 8 bits; choose --lm-head-dtype auto");
    }
    long cache = numBlocks * layout.layerBlockBytes();
    long largest = cache;
    for (int i = 0; i < config.numLayers(); i++) {
      largest = Math.max(largest, LayerImage.of(i, weights.layers().get(i)).image().bytes());
    }
    largest = Math.max(largest, weights.embedding().segment().byteSize());
    if (largest > device.allocationBytes()) {
      throw new BackendUnavailableException(
          "%s holds arrays of at most %s, and one of %s is needed; a smaller --kv-cache-memory may do"
              .formatted(device.name(), size(device.allocationBytes()), size(largest)));
    }
    long all = weights.bytes() + cache * layout.numLayers();
    if (all > device.memoryBytes()) {
      throw new BackendUnavailableException(
          "weights and KV cache take %s, and %s has %s; lower --max-model-len or --kv-cache-memory"
              .formatted(size(all), device.name(), size(device.memoryBytes())));
    }
  }

  private static String size(long bytes) {
    return String.format(Locale.ROOT, "%.1f GiB", bytes / GIB);
  }
}
