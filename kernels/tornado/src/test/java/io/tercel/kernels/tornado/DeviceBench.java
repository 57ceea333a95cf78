package io.tercel.kernels.tornado;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.ModelShapes;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * A program that measures one part of what {@code bench-gpu} is to show: a shape in a format, at
 * several batches and contexts, and a prefill. Each figure is a line of JSON that is written as
 * soon as it is there, and found again if the part is run again; {@code table} makes Markdown of
 * them.
 *
 * <p>Weights are random. Contexts are not computed: keys and values hold zeros, as many bytes as
 * real contexts have. Of more than {@link #OWN} deep contexts some lie where others do, many times
 * what a device's caches hold apart.
 */
final class DeviceBench {
  /** A model of next to nothing, to try all this where there is no GPU. */
  private static final String TINY = "tiny";

  /** Contexts of the deepest kind that have blocks of their own. */
  private static final int OWN = 8;

  private static final int WARM_UP = 8;
  private static final int PREFILL_CHUNK = 64;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final List<JsonNode> lines = new ArrayList<>();
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();
  private final Random random = new Random(1);

  private DeviceBench(Path file) throws IOException {
    this.file = file;
    if (Files.exists(file)) {
      for (String line : Files.readAllLines(file)) {
        lines.add(JSON.readTree(line));
      }
    }
  }

  /**
   * {@code run FILE DEVICE SHAPE FORMAT BATCHES CONTEXTS PROMPT TOKENS}, or {@code table FILE..}.
   */
  public static void main(String[] args) throws IOException {
    if (args[0].equals("table")) {
      table(Arrays.stream(args).skip(1).map(Path::of).toList());
      return;
    }
    Path done = Path.of(args[1]);
    Path partial = Path.of(args[1] + ".partial");
    new DeviceBench(partial)
        .run(
            Integer.parseInt(args[2]),
            args[3],
            args[4],
            numbers(args[5]),
            numbers(args[6]),
            Integer.parseInt(args[7]),
            Integer.parseInt(args[8]));
    Files.move(partial, done, StandardCopyOption.ATOMIC_MOVE);
  }

  private static int[] numbers(String text) {
    return Arrays.stream(text.split(",")).mapToInt(Integer::parseInt).toArray();
  }

  private static ModelConfig config(String shape) {
    return shape.equals(TINY)
        ? new ModelConfig(
            Architecture.QWEN3, 128, 256, 2, 2, 1, 64, 512, 1e-6f, 1e6, 32_800, true, List.of())
        : ModelShapes.byName(shape);
  }

  private void run(
      int device,
      String shape,
      String format,
      int[] batches,
      int[] contexts,
      int prompt,
      int tokens)
      throws IOException {
    ModelConfig config = config(shape);
    QuantFormat linears = format.equals("w4a4kv4") ? PerRow.W4A4 : Grouped.W3G128;
    KvLayout layout = KvLayout.of(config, KvType.INT4);
    TornadoBackends backends = new TornadoBackends();
    double bandwidth = backends.readBandwidth(device);
    int deepest = Math.max(Arrays.stream(contexts).max().orElse(0) + tokens, prompt);
    int numBlocks = Math.min(OWN, Arrays.stream(batches).max().orElse(1)) * blocks(deepest);
    long begun = System.nanoTime();
    try (WeightStore weights = RandomWeights.create(config, linears, Dense.BF16, 1);
        TornadoBackend backend =
            (TornadoBackend) backends.open(weights, layout, numBlocks, device)) {
      double start = (System.nanoTime() - begun) / 1e9;
      String name = backends.devices().get(device).name();
      for (int context : contexts) {
        for (int streams : batches) {
          if (!has("decode", streams, context)) {
            double rate = decode(backend, config, streams, context, tokens);
            double read =
                readBytes(weights)
                    + (double) streams
                        * context
                        * layout.layerBlockBytes()
                        * config.numLayers()
                        / KvLayout.BLOCK_SIZE;
            ObjectNode line = line("decode", shape, format, name, streams, context, rate);
            line.put("startSeconds", start);
            line.put("stepMillis", 1e3 * streams / rate);
            line.put("readBytes", read);
            line.put("readBandwidth", bandwidth);
            line.put("shareOfBandwidth", rate / streams * read / bandwidth);
            add(line);
          }
        }
      }
      if (!has("prefill", 1, prompt)) {
        double rate = prefill(backend, config, prompt);
        ObjectNode line = line("prefill", shape, format, name, 1, prompt, rate);
        line.put("int8OpsPerSecond", rate * products(weights) * (linears == PerRow.W4A4 ? 2 : 4));
        Double peak = peak(name);
        if (peak != null) {
          line.put("shareOfInt8Peak", line.get("int8OpsPerSecond").asDouble() / peak);
        }
        add(line);
      }
    }
  }

  private static int blocks(int tokens) {
    return Math.ceilDiv(tokens + 1, KvLayout.BLOCK_SIZE);
  }

  private boolean has(String test, int batch, int context) {
    return lines.stream()
        .anyMatch(
            l ->
                l.get("test").asText().equals(test)
                    && l.get("batch").asInt() == batch
                    && l.get("context").asInt() == context);
  }

  private static ObjectNode line(
      String test,
      String shape,
      String format,
      String device,
      int batch,
      int context,
      double rate) {
    ObjectNode line = JSON.createObjectNode();
    line.put("test", test).put("shape", shape).put("format", format).put("device", device);
    line.put("batch", batch).put("context", context).put("tokensPerSecond", rate);
    return line;
  }

  private void add(ObjectNode line) throws IOException {
    lines.add(line);
    Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    System.out.println(line);
  }

  /** Tokens a second of all streams together. */
  private double decode(
      TornadoBackend backend, ModelConfig config, int streams, int context, int tokens) {
    int[][] tables = new int[streams][blocks(context + tokens)];
    int block = 0;
    for (int[] table : tables) {
      for (int b = 0; b < table.length; b++) {
        table[b] = block++ % backend.numBlocks();
      }
    }
    long start = 0;
    for (int i = -WARM_UP; i < tokens; i++) {
      start = i == 0 ? System.nanoTime() : start;
      int position = context + Math.max(i, 0);
      batch.clear();
      plan.clear();
      for (int[] table : tables) {
        batch.beginSequence(table);
        int row = batch.addToken(random.nextInt(config.vocabSize()), position);
        plan.add(SamplingRow.sample(row).position(position + 1).build());
      }
      backend.step(batch, plan);
    }
    return streams * tokens * 1e9 / (System.nanoTime() - start);
  }

  private double prefill(TornadoBackend backend, ModelConfig config, int prompt) {
    int[] table = new int[blocks(prompt)];
    Arrays.setAll(table, i -> i);
    double best = 0;
    for (int run = 0; run < 3; run++) {
      long start = System.nanoTime();
      for (int from = 0; from < prompt; from += PREFILL_CHUNK) {
        batch.clear();
        plan.clear();
        batch.beginSequence(table);
        int row = 0;
        int to = Math.min(prompt, from + PREFILL_CHUNK);
        for (int position = from; position < to; position++) {
          row = batch.addToken(random.nextInt(config.vocabSize()), position);
        }
        if (to == prompt) {
          plan.add(SamplingRow.sample(row).position(prompt).build());
        }
        backend.step(batch, plan);
      }
      best = Math.max(best, prompt * 1e9 / (System.nanoTime() - start));
    }
    return best;
  }

  /** What a decode step must read beside keys and values. */
  private static double readBytes(WeightStore weights) {
    boolean tied = weights.head().weight() == weights.embedding();
    return weights.bytes() - (tied ? 0 : weights.embedding().segment().byteSize());
  }

  /** Multiply-adds of a token in the layers; of 16-bit activations each is two of bytes. */
  private static double products(WeightStore weights) {
    double products = 0;
    for (LayerWeights layer : weights.layers()) {
      for (Linear linear : layer.matrices()) {
        products += (double) linear.weight().rows() * linear.weight().cols();
      }
    }
    return products;
  }

  /** int8 operations a second that the maker names, dense, or what INT8_TOPS says. */
  private static @Nullable Double peak(String device) {
    String said = System.getenv("INT8_TOPS");
    if (said != null) {
      return 1e12 * Double.parseDouble(said);
    }
    String name = device.toUpperCase(Locale.ROOT);
    if (name.contains("H100") || name.contains("H200")) {
      return 1979e12;
    }
    return name.contains("A100") ? 624e12 : null;
  }

  private static void table(List<Path> files) {
    System.out.println(
        "| shape | format | test | batch | context | tok/s | ms a step | of the read bandwidth | of int8 |");
    System.out.println("|---|---|---|--:|--:|--:|--:|--:|--:|");
    for (Path file : files) {
      try {
        for (String text : Files.readAllLines(file)) {
          System.out.println(row(JSON.readTree(text)));
        }
      } catch (IOException e) {
        throw new UncheckedIOException(file + ": " + e.getMessage(), e);
      }
    }
  }

  private static String row(JsonNode line) {
    return "| %s | %s | %s | %d | %d | %.1f | %s | %s | %s |"
        .formatted(
            line.get("shape").asText(),
            line.get("format").asText(),
            line.get("test").asText(),
            line.get("batch").asInt(),
            line.get("context").asInt(),
            line.get("tokensPerSecond").asDouble(),
            line.has("stepMillis") ? "%.2f".formatted(line.get("stepMillis").asDouble()) : "",
            percent(line, "shareOfBandwidth"),
            percent(line, "shareOfInt8Peak"));
  }

  private static String percent(JsonNode line, String field) {
    return line.has(field) ? "%.1f %%".formatted(100 * line.get(field).asDouble()) : "";
  }
}
