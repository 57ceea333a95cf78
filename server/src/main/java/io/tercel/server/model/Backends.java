package io.tercel.server.model;

import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.BackendProvider;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.ComputeDevice;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.vector.FmaPeak;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes the backend that was asked for: the CPU's are built in, others are found as services. */
public final class Backends {
  /** Names that need nothing. */
  private static final List<String> BUILT_IN = List.of("auto", "jit", "vector", "scalar");

  private static final Logger LOG = LoggerFactory.getLogger(Backends.class);

  /** The GPU's, whether it is there or not. */
  public static final String TORNADO = "tornado";

  /** The store's weights, the backend's copy, and the device's, where that is a CPU. */
  private static final int COPIES = 3;

  private Backends() {}

  static boolean isKnown(String name) {
    return BUILT_IN.contains(name) || name.equals(TORNADO);
  }

  /**
   * A backend with a KV pool of the plan's size; the caller closes it, before the weights.
   *
   * @throws UserException if it can't be had
   */
  public static Backend open(WeightStore weights, ServingPlan plan, ServingOptions options) {
    if (BUILT_IN.contains(options.backend())) {
      return new CpuBackend(weights, cpuOps(options), plan.kv(), plan.numBlocks());
    }
    try {
      return provider(options.backend())
          .open(weights, plan.kv(), plan.numBlocks(), options.device());
    } catch (BackendUnavailableException e) {
      throw new UserException("--backend " + options.backend() + ": " + e.getMessage(), e);
    }
  }

  /**
   * The operations of a built-in backend; {@code auto} is {@code jit} where that can be had.
   *
   * @throws UserException if it was asked for and can't be had
   */
  public static Ops cpuOps(ServingOptions options) {
    int threads = options.threads();
    return switch (options.backend()) {
      case "scalar" -> new ScalarOps();
      case "vector" -> new VectorOps(threads);
      case "jit" -> {
        try {
          yield JitOps.open(threads);
        } catch (BackendUnavailableException e) {
          throw new UserException("--backend jit: " + e.getMessage(), e);
        }
      }
      default -> {
        try {
          yield JitOps.open(threads);
        } catch (BackendUnavailableException e) {
          LOG.info("backend vector, because jit {}", e.getMessage());
          yield new VectorOps(threads);
        }
      }
    };
  }

  /** What {@code auto} is here, and why, in one line. */
  public static String cpu() {
    try {
      JitOps.open(1).close();
      return "jit: " + String.join(" ", JitOps.requireProcessor()) + ", self-test passed";
    } catch (BackendUnavailableException e) {
      return "vector: jit " + e.getMessage();
    }
  }

  /** The instruction sets that {@code tercel bench} measures the CPU's peaks by, in one line. */
  public static String cpuPeaks() {
    String fp32 = "fp32 multiply-add: %d lanes".formatted(FmaPeak.lanes());
    try {
      JitOps.requireProcessor();
      return "peaks: " + fp32 + "; int8 dot: AVX512_VNNI (vpdpbusd of 64 bytes)";
    } catch (BackendUnavailableException e) {
      return "peaks: " + fp32 + "; int8 dot: no kernel has one here";
    }
  }

  /**
   * Bytes that weights and KV cache may take: of the machine, and of the device as well if there is
   * one.
   *
   * @throws UserException if there is no such device
   */
  public static long available(ServingOptions options) {
    long machine = MachineMemory.available();
    if (!options.backend().equals(TORNADO)) {
      return machine;
    }
    List<ComputeDevice> devices = devices(options.backend());
    if (options.device() < 0 || options.device() >= devices.size()) {
      throw new UserException(
          "--device: %d, but there are %d; see tercel devices"
              .formatted(options.device(), devices.size()));
    }
    return Math.min(machine / COPIES, devices.get(options.device()).memoryBytes());
  }

  /** Bytes a second that the backend's memory is read with. */
  public static double readBandwidth(ServingOptions options) {
    if (BUILT_IN.contains(options.backend())) {
      return ReadBandwidth.measure(options.threads());
    }
    try {
      return provider(options.backend()).readBandwidth(options.device());
    } catch (BackendUnavailableException e) {
      throw new UserException("--backend " + options.backend() + ": " + e.getMessage(), e);
    }
  }

  /**
   * The devices of a backend that is found as a service.
   *
   * @throws UserException if it can't be had
   */
  public static List<ComputeDevice> devices(String name) {
    try {
      return provider(name).devices();
    } catch (BackendUnavailableException e) {
      throw new UserException("--backend " + name + ": " + e.getMessage(), e);
    }
  }

  private static BackendProvider provider(String name) {
    Optional<BackendProvider> found =
        ServiceLoader.load(BackendProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(provider -> provider.name().equals(name))
            .findFirst();
    return found.orElseThrow(
        () ->
            new BackendUnavailableException(
                "not here; it needs a TornadoVM SDK in TORNADOVM_HOME or /opt/tornadovm when"
                    + " ./tercel builds and starts, see docs/gpu.md"));
  }
}
