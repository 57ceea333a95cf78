package io.tercel.server.cli;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.ModelShapes;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightPlan;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.Ops;
import io.tercel.server.UserException;
import io.tercel.server.model.Backends;
import io.tercel.server.model.ByteSize;
import io.tercel.server.model.MachineLimits;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.model.ServingPlan;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code tercel bench}: the engine's speed on random weights of a named shape, beside what the
 * memory can give.
 */
@CommandLine.Command(
    name = "bench",
    description = {
      "Measures the backend on random weights of a named shape.",
      "First measures this machine's limits (read bandwidth, fp32 and int8 peak); each result prints",
      "its share of them. A run that others disturbed says so at its end, on Linux.",
      "kernels times each linear layer and attention alone, at 1 to 32 tokens, on each backend."
    },
    mixinStandardHelpOptions = true)
public final class BenchCommand implements Command {
  /** 4-bit weights, by 4-bit inputs; keys and values in 4 bits are {@code auto}'s choice then. */
  private static final String W4A4KV4 = "w4a4kv4";

  /** Tokens that are really computed before a deep decode. */
  private static final int REPLICATED = 512;

  /** Bytes of the copies of a layer that is timed alone: more than caches hold. */
  private static final long KERNEL_BYTES = 192L << 20;

  @Spec private @Nullable CommandSpec spec;

  // not required, since a subcommand may stand in its place
  @Parameters(
      paramLabel = "TEST",
      arity = "0..1",
      description = "decode, prefill, batch, long or kernels (default: ${DEFAULT-VALUE})")
  private String test = "decode";

  @Option(
      names = "--shape",
      description = "qwen3-0.6b, qwen3-4b or r1-1.5b (default: ${DEFAULT-VALUE})")
  private String shape = "qwen3-0.6b";

  @Option(
      names = "--format",
      description =
          "linear weights: w3g128, w4a4kv4, bf16, fp16 or fp32 (default: ${DEFAULT-VALUE})")
  private String format = "w3g128";

  @Option(
      names = "--context",
      split = ",",
      description =
          "tokens before the measured ones; long takes several (default: 128; for long 128,4096,32768; for kernels 4096)")
  private int @Nullable [] contexts;

  @Option(
      names = "--prompt",
      description = "tokens of the prefill test (default: ${DEFAULT-VALUE})")
  private int prompt = 512;

  @Option(
      names = "--batch",
      split = ",",
      description = "streams of the batch test (default: 1,8,32)")
  private int[] batch = {1, 8, 32};

  @Option(names = "--tokens", description = "tokens measured in a run (default: ${DEFAULT-VALUE})")
  private int tokens = 32;

  @Option(names = "--runs", description = "runs; the median counts (default: ${DEFAULT-VALUE})")
  private int runs = 5;

  @Mixin private final ModelOptions options = new ModelOptions();

  @Override
  public Integer call() {
    ModelConfig config = config();
    QuantFormat linears = linears();
    checkCounts();
    int deepest = Arrays.stream(contexts()).max().orElse(1);
    options.maxModelLen =
        Math.min(config.maxPositionEmbeddings(), Math.max(deepest + tokens, prompt) + 16);
    int most = test.equals("batch") ? Arrays.stream(batch).max().orElse(1) : 1;
    options.maxNumSeqs = most;
    options.maxNumBatchedTokens = Math.max(options.maxNumBatchedTokens, most);
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    ServingOptions serving = options.serving();
    Disturbance disturbance = Disturbance.watch();
    measure(config, linears, serving, out);
    String verdict = disturbance.verdict();
    if (!verdict.isEmpty()) {
      out.println(verdict);
    }
    out.flush();
    return 0;
  }

  private void measure(
      ModelConfig config, QuantFormat linears, ServingOptions serving, PrintWriter out) {
    if (test.equals("kernels")) {
      kernels(config, serving, out);
      return;
    }
    MachineLimits limits = limits(serving, out);
    double bandwidth = limits.readBandwidth();
    WeightPlan plan = WeightPlan.of(config, linears, QuantFormat.Dense.BF16, serving.lmHeadType());
    ServingPlan fits = ServingPlan.of(config, plan, serving, Backends.available(serving));
    try (WeightStore weights =
            RandomWeights.create(config, linears, QuantFormat.Dense.BF16, serving.lmHeadType(), 1);
        Backend backend = Backends.open(weights, fits, serving)) {
      out.printf(
          Locale.ROOT,
          "%s, %s linears, %s head, %s backend, %s KV, weights %s%n",
          shape,
          linears.label(),
          weights.head().weight().format().label(),
          backend.name(),
          fits.kv().type().label(),
          ByteSize.format(weights.bytes()));
      out.flush();
      run(new StepBench(backend, config, runs), out, limits, weights, fits);
    }
  }

  /** Prints them: of one thread, and of all that compute. */
  private MachineLimits limits(ServingOptions serving, PrintWriter out) {
    if (options.backend.equals(Backends.TORNADO)) {
      double bandwidth = Backends.readBandwidth(serving);
      out.printf(
          Locale.ROOT, "read bandwidth  %.1f GB/s, device %d%n", bandwidth / 1e9, options.device);
      return new MachineLimits(0, bandwidth, 0, 0);
    }
    if (options.threads > 1) {
      out.println(MachineLimits.measure(1).describe());
    }
    MachineLimits limits = MachineLimits.measure(options.threads);
    out.println(limits.describe());
    out.flush();
    return limits;
  }

  private void kernels(ModelConfig config, ServingOptions serving, PrintWriter out) {
    List<String> backends =
        options.backend.equals("auto") ? List.of("jit", "vector") : List.of(options.backend);
    MachineLimits limits = limits(serving, out);
    for (String name : backends) {
      try (Ops ops = Backends.cpuOps(serving.backend(name))) {
        new KernelBench(config, runs, KERNEL_BYTES, CompilerRest.ENOUGH, out)
            .run(ops, limits, contexts()[0]);
      } catch (UserException e) {
        if (backends.size() == 1) {
          throw e;
        }
        out.println(e.getMessage());
      }
    }
  }

  private void run(
      StepBench bench,
      PrintWriter out,
      MachineLimits limits,
      WeightStore weights,
      ServingPlan plan) {
    double bandwidth = limits.readBandwidth();
    switch (test) {
      case "decode" -> {
        StepBench.Result r = bench.decode(1, contexts()[0], tokens);
        print(out, contexts()[0], r, readBytes(weights, plan, contexts()[0]), bandwidth);
      }
      case "long" -> decodeDeep(bench, out, bandwidth, weights, plan);
      case "prefill" -> {
        StepBench.Result r = bench.prefill(prompt, options.maxNumBatchedTokens);
        out.printf(
            Locale.ROOT,
            "prefill %d  %.1f tok/s median (min %.1f, max %.1f, %d runs)%s%n",
            prompt,
            r.median(),
            r.min(),
            r.max(),
            runs,
            arithmetic(r.median(), weights, limits));
      }
      default -> batches(bench, out, limits, weights, plan);
    }
    out.flush();
  }

  private void decodeDeep(
      StepBench bench, PrintWriter out, double bandwidth, WeightStore weights, ServingPlan plan) {
    int deepest = Arrays.stream(contexts()).max().orElse(1);
    int prompt = Math.min(deepest, REPLICATED);
    bench.fill(prompt, deepest);
    out.printf(
        Locale.ROOT,
        "long: a context of %d tokens, of which the CPU's backends compute %d and copy the rest%n",
        deepest,
        prompt);
    for (int context : contexts()) {
      StepBench.Result r = bench.decodeAt(context, tokens);
      print(out, context, r, readBytes(weights, plan, context), bandwidth);
    }
  }

  private void print(
      PrintWriter out, int context, StepBench.Result r, double read, double bandwidth) {
    out.printf(
        Locale.ROOT,
        "decode@%d  %.2f tok/s median (min %.2f, max %.2f, %d runs), %.1f ms a token, %.0f %% of the read"
            + " limit (%.1f tok/s)%n",
        context,
        r.median(),
        r.min(),
        r.max(),
        runs,
        1e3 / r.median(),
        100 * r.median() * read / bandwidth,
        bandwidth / read);
    out.flush();
  }

  /** The contexts of a decode; the other tests take the first. */
  private int[] contexts() {
    if (contexts != null) {
      return contexts;
    }
    return switch (test) {
      case "long" -> new int[] {128, 4096, 32_768};
      case "kernels" -> new int[] {4096};
      default -> new int[] {128};
    };
  }

  /** The share of the arithmetic limit that the layers' products alone take. */
  private static String arithmetic(double rate, WeightStore weights, MachineLimits limits) {
    boolean bytes = limits.int8() > 0;
    // an activation of 16 bits is two products of bytes
    double peak = bytes ? limits.int8() / 2 : limits.fp32();
    if (peak == 0) {
      return "";
    }
    double products = 0;
    for (LayerWeights layer : weights.layers()) {
      for (Linear linear : layer.matrices()) {
        products += (double) linear.weight().rows() * linear.weight().cols();
      }
    }
    return String.format(
        Locale.ROOT,
        ", linears %.0f Gop/s, %.0f %% of %s",
        2 * products * rate / 1e9,
        200 * products * rate / peak,
        bytes ? "int8 / 2" : "fp32");
  }

  private void batches(
      StepBench bench,
      PrintWriter out,
      MachineLimits limits,
      WeightStore weights,
      ServingPlan plan) {
    double bandwidth = limits.readBandwidth();
    double one = 0;
    for (int streams : batch) {
      StepBench.Result r = bench.decode(streams, contexts()[0], Math.max(4, tokens / 2));
      one = one == 0 ? r.median() / streams : one;
      double context = (double) streams * contexts()[0] * plan.kv().tokenBytes();
      double read = readBytes(weights, plan, 0) + context;
      out.printf(
          Locale.ROOT,
          "batch %-3d @%d  %.1f tok/s median (min %.1f, max %.1f), %.2fx of one stream, %.0f %% of the read"
              + " limit%s%n",
          streams,
          contexts()[0],
          r.median(),
          r.min(),
          r.max(),
          r.median() / one,
          100 * r.median() / streams * read / bandwidth,
          arithmetic(r.median(), weights, limits));
      out.flush();
    }
  }

  /**
   * What a decode step must read: every matrix but an untied embedding, and the context's keys and
   * values.
   */
  private double readBytes(WeightStore weights, ServingPlan plan, int context) {
    boolean tied = weights.head().weight() == weights.embedding();
    long embedding = tied ? 0 : weights.embedding().segment().byteSize();
    return weights.bytes() - embedding + (double) context * plan.kv().tokenBytes();
  }

  private ModelConfig config() {
    if (!List.of("decode", "prefill", "batch", "long", "kernels").contains(test)) {
      throw new UserException(
          "bench: no test '" + test + "'; choose decode, prefill, batch, long or kernels");
    }
    if (!ModelShapes.names().contains(shape)) {
      throw new UserException(
          "--shape: no '%s'; choose one of %s"
              .formatted(shape, String.join(", ", ModelShapes.names())));
    }
    return ModelShapes.byName(shape);
  }

  private QuantFormat linears() {
    if (format.equals(QuantFormat.Grouped.W3G128.label())) {
      return QuantFormat.Grouped.W3G128;
    }
    if (format.equals(W4A4KV4)) {
      return QuantFormat.PerRow.W4A4;
    }
    for (QuantFormat.Dense dense : QuantFormat.Dense.values()) {
      if (dense.label().equals(format)) {
        return dense;
      }
    }
    throw new UserException(
        "--format: no '" + format + "'; choose w3g128, w4a4kv4, bf16, fp16 or fp32");
  }

  private void checkCounts() {
    if (Arrays.stream(contexts()).anyMatch(context -> context < 1)) {
      throw new UserException("--context must be at least 1");
    }
    if (prompt < 1 || tokens < 1 || runs < 1) {
      throw new UserException("--prompt, --tokens and --runs must be at least 1");
    }
    for (int streams : batch) {
      if (streams < 1) {
        throw new UserException("--batch: " + streams + " streams; at least 1");
      }
    }
  }
}
