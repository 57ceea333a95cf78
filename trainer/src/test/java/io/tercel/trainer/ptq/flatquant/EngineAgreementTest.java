package io.tercel.trainer.ptq.flatquant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.DecoderLayer;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.kernels.model.DecoderLayer.Watch;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RowInts;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.trainer.ptq.Calibration;
import io.tercel.trainer.ptq.W4Options;
import io.tercel.trainer.ptq.W4Options.Method;
import io.tercel.trainer.ptq.W4Quantizer;
import io.tercel.trainer.ptq.transform.Kronecker;
import io.tercel.trainer.ptq.transform.OnlineTransforms;
import io.tercel.trainer.ptq.transform.W4Layer;
import io.tercel.trainer.torch.Torch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the engine computes of an exported model is what the trainer computes of it. With each layer
 * fed the engine's input they agree to float rounding, unless some key, value or activation within
 * the layer lies on a boundary and rounds to one side here and to the other there: with 4 bits that
 * moves it by a fifteenth of its range, and in a random model all that follows too. A layer where
 * that happens is seen by rows that are off by more than 1e-4; it is rare, so at most two in four.
 */
class EngineAgreementTest {
  private static final int TOKENS = 60;
  private static final int LAYERS = 4;

  @TempDir private Path temp;
  private final int[] tokens = new Random(8).ints(TOKENS, 0, 256).toArray();
  private int codes;
  private int flips;

  private Path export(boolean qwen3, Method method, Ops ops) throws IOException {
    TinyCheckpoint tiny = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    Path model = tiny.layers(LAYERS).write(temp.resolve("tiny"));
    Random random = new Random(4);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      sequences.add(random.ints(20 + random.nextInt(20), 0, 256).toArray());
    }
    try (Checkpoint source = Checkpoint.open(model)) {
      W4Quantizer.quantize(
          source,
          temp.resolve("w4"),
          new Calibration(sequences),
          W4Options.of(method, new FlatOptions(6, 4, 5e-3, 1)),
          ops,
          (_, _) -> {});
    }
    return temp.resolve("w4");
  }

  @ParameterizedTest
  @CsvSource({
    "true,RTN",
    "false,RTN",
    "true,QUAROT",
    "false,QUAROT",
    "true,FLATQUANT",
    "false,FLATQUANT"
  })
  void engine_agreesWithTheTrainer(boolean qwen3, Method method) throws IOException {
    try (Ops ops = new VectorOps(1)) {
      Path w4 = export(qwen3, method, ops);
      WeightStore store;
      try (Checkpoint checkpoint = Checkpoint.open(w4)) {
        store = WeightLoader.load(checkpoint, Long.MAX_VALUE, (_, _, _) -> {});
      }
      ModelConfig config = store.config();
      ServedModel served = new ServedModel(w4, config);
      KvLayout layout = new KvLayout(KvType.INT4, LAYERS, config.numKvHeads(), config.headDim());
      try (store;
          KvPool kv = new KvPool(layout, 4)) {
        StepBatch batch = new StepBatch();
        batch.beginSequence(new int[] {2, 0, 3, 1});
        for (int t = 0; t < TOKENS; t++) {
          batch.addToken(tokens[t], t);
        }
        DecoderLayer pass = new DecoderLayer(config, ops);
        pass.begin(batch);
        float[] hidden = new float[TOKENS * config.hiddenSize()];
        ops.embed(store.embedding(), batch, hidden);
        float[] free = hidden.clone();
        double worst = 0;
        int moved = 0;
        for (int i = 0; i < LAYERS; i++) {
          W4Layer layer = served.layer(i);
          LayerWeights weights = store.layers().get(i);
          float[] before = hidden.clone();
          watch(pass, weights, layer, kv, i, batch, hidden, config, ops);
          pass.attention(weights, kv, i, batch, hidden, null);
          watchMlp(pass, weights, layer, hidden, config, ops);
          pass.feedForward(weights, TOKENS, hidden, null);
          double off = distance(forward(config, layer, before), before, hidden);
          if (off > 1e-4) {
            moved++;
          } else {
            worst = Math.max(worst, off);
          }
          free = forward(config, layer, free);
        }
        double difference = meanDifference(served, config, free, hidden);
        System.out.printf(
            "%s %s: %d of %d codes flipped; %d layers moved, others off by %.1e at most; free-running"
                + " mean |log-prob difference| %.1e%n",
            qwen3 ? "qwen3" : "qwen2", method, flips, codes, moved, worst, difference);
        int inputs = 2 * config.hiddenSize() + config.queryDim() + config.intermediateSize();
        assertEquals(LAYERS * TOKENS * inputs, codes);
        assertTrue(flips <= 1e-4 * codes, flips + " of " + codes + " codes flipped");
        assertTrue(worst < 2e-5, "a layer in which nothing moved is off by " + worst);
        assertTrue(moved <= 2, moved + " layers moved");
        assertTrue(moved > 0 || difference < 2e-4, "log-probs are off by " + difference);
      }
    }
  }

  private void watch(
      DecoderLayer pass,
      LayerWeights weights,
      W4Layer layer,
      KvPool kv,
      int index,
      StepBatch batch,
      float[] hidden,
      ModelConfig config,
      Ops ops) {
    OnlineTransforms online = layer.online();
    pass.attention(
        weights,
        kv,
        index,
        batch,
        hidden,
        new Watch(
            Tap.ATTENTION,
            (x, rows) -> count(x, weights.q(), online.qkv(), config.hiddenSize(), ops)));
    pass.attention(
        weights,
        kv,
        index,
        batch,
        hidden,
        new Watch(
            Tap.OUTPUT, (x, rows) -> count(x, weights.o(), online.o(), config.queryDim(), ops)));
  }

  private void watchMlp(
      DecoderLayer pass,
      LayerWeights weights,
      W4Layer layer,
      float[] hidden,
      ModelConfig config,
      Ops ops) {
    OnlineTransforms online = layer.online();
    pass.feedForward(
        weights,
        TOKENS,
        hidden,
        new Watch(
            Tap.MLP,
            (x, rows) -> count(x, weights.up(), online.gateUp(), config.hiddenSize(), ops)));
    pass.feedForward(
        weights,
        TOKENS,
        hidden,
        new Watch(
            Tap.DOWN,
            (x, rows) -> count(x, weights.down(), online.down(), config.intermediateSize(), ops)));
  }

  /** The engine's codes of an input against those of the trainer's transform of the same. */
  private void count(float[] x, Linear linear, @Nullable Kronecker by, int width, Ops ops) {
    PreparedInput input = new PreparedInput();
    ops.prepare(Projection.of(linear), x, TOKENS, input);
    InputTransform transform = ((InputSpec.Int4PerToken) linear.input()).transform();
    float[] rows = Arrays.copyOf(x, TOKENS * width);
    float[] y;
    try (NDManager manager = Torch.newManager()) {
      y =
          LayerPass.kronecker(
                  manager.create(rows, new Shape(TOKENS, width)),
                  LayerStream.matrix(by == null ? null : by.left(), manager),
                  LayerStream.matrix(by == null ? null : by.right(), manager))
              .toFloatArray();
    }
    for (int t = 0; t < TOKENS; t++) {
      float low = 0;
      float high = 0;
      for (int j = t * width; j < (t + 1) * width; j++) {
        low = Math.min(low, y[j]);
        high = Math.max(high, y[j]);
      }
      low *= transform.lowClip();
      float scale = RowInts.scale(low, high * transform.highClip(), true);
      assertEquals(scale, input.rowScale(t), 1e-5f * scale);
      int zero = RowInts.zero(low, scale);
      assertEquals(zero, input.rowZero(t));
      for (int j = 0; j < width; j++) {
        codes++;
        float steps = y[t * width + j] / scale;
        int code = RowInts.code(y[t * width + j], scale, zero);
        if (code != input.rowCode(t, j)) {
          flips++;
          double fromBoundary = Math.abs(steps - Math.floor(steps) - 0.5);
          assertTrue(fromBoundary < 1e-3, code + " and " + input.rowCode(t, j) + " at " + steps);
        }
      }
    }
  }

  private float[] forward(ModelConfig config, W4Layer layer, float[] x) {
    try (NDManager manager = Torch.newManager()) {
      return new LayerPass(config, manager, 1, TOKENS)
          .forward(
              manager.create(x, new Shape(TOKENS, config.hiddenSize())),
              LayerStream.served(layer, manager))
          .toFloatArray();
    }
  }

  /** |actual - expected| / |expected - before|. */
  private static double distance(float[] actual, float[] before, float[] expected) {
    return LayerStream.error(
        new float[][] {actual}, new float[][] {before}, new float[][] {expected});
  }

  private static double meanDifference(
      ServedModel served, ModelConfig config, float[] one, float[] other) {
    double sum = 0;
    for (int t = 0; t < TOKENS; t++) {
      double[] a = logProbs(served, config, one, t);
      double[] b = logProbs(served, config, other, t);
      for (int id = 0; id < a.length; id++) {
        sum += Math.abs(a[id] - b[id]);
      }
    }
    return sum / TOKENS / config.vocabSize();
  }

  private static double[] logProbs(
      ServedModel served, ModelConfig config, float[] hidden, int row) {
    int width = config.hiddenSize();
    float[] norm = served.floats("model.norm.weight");
    float[] head = served.head();
    double squares = 0;
    for (int j = 0; j < width; j++) {
      squares += (double) hidden[row * width + j] * hidden[row * width + j];
    }
    double scale = 1 / Math.sqrt(squares / width + config.rmsNormEps());
    double[] logits = new double[config.vocabSize()];
    double sum = 0;
    for (int id = 0; id < logits.length; id++) {
      for (int j = 0; j < width; j++) {
        logits[id] += hidden[row * width + j] * scale * norm[j] * head[id * width + j];
      }
      sum += Math.exp(logits[id]);
    }
    for (int id = 0; id < logits.length; id++) {
      logits[id] -= Math.log(sum);
    }
    return logits;
  }
}
