package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.quant.PtqState;
import io.tercel.trainer.quant.W4State;
import io.tercel.trainer.torch.DecoderPass;
import io.tercel.trainer.torch.Parameter;
import io.tercel.trainer.torch.Precision;
import io.tercel.trainer.torch.Torch;
import io.tercel.trainer.torch.TorchScript;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The one student that cross-entropy, distillation and GRPO train: a Qwen2 or Qwen3 decoder with
 * fp32 parameters, each linear optionally {@linkplain FakeQuant fake-quantized}.
 *
 * <p><b>Memory.</b> Values live off the heap in this model's arena, gradients on the heap; what a
 * forward pass makes is freed when {@link #backward} or {@link #evaluate} returns.
 *
 * <p><b>Threads.</b> One at a time, and always the same: PyTorch's gradient mode is per thread.
 */
public final class QatModel implements AutoCloseable {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String FINAL_NORM = "model.norm.weight";
  private static final String HEAD = "lm_head.weight";

  /** How the names of shares of ranges end. */
  static final String CLIP = "clip";

  private static final long ACTIVATION_BYTES = 1L << 30;

  private final ModelConfig config;
  private final Arena arena = Arena.ofShared();
  private final NDManager manager;
  private final TorchScript script;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final Map<String, DType> storage = new HashMap<>();
  private final List<StudentLayer> layers = new ArrayList<>();
  private int cacheBits = 32;
  private long activationBytes = ACTIVATION_BYTES;

  private QatModel(ModelConfig config, boolean withBiases, boolean ownHead) {
    this.config = config;
    add(EMBEDDING, config.vocabSize(), config.hiddenSize());
    for (int i = 0; i < config.numLayers(); i++) {
      addLayer(i, withBiases);
      layers.add(new StudentLayer(config, i, parameters));
    }
    add(FINAL_NORM, config.hiddenSize());
    if (ownHead) {
      add(HEAD, config.vocabSize(), config.hiddenSize());
    }
    manager = Torch.newManager();
    script = DecoderPass.script(manager);
  }

  private void addLayer(int layer, boolean withBiases) {
    for (Matrix m : Matrix.values()) {
      add(m.name(layer) + ".weight", m.rows(config), m.cols(config));
      if (withBiases && (m == Matrix.Q || m == Matrix.K || m == Matrix.V)) {
        add(m.name(layer) + ".bias", m.rows(config));
      }
    }
    for (Norm n : Norm.values()) {
      if (n.present(config)) {
        add(n.name(layer) + ".weight", n.size(config));
      }
    }
  }

  private void add(String name, long... shape) {
    parameters.put(name, new Parameter(name, arena, shape));
  }

  /**
   * A model to train from scratch: norms 1, embedding of deviation 0.02, linears of 1/sqrt(in), and
   * those that write to the residual stream smaller by sqrt(2 * layers).
   */
  public static QatModel random(ModelConfig config, long seed) {
    QatModel model =
        new QatModel(
            config, config.architecture() == Architecture.QWEN2, !config.tieWordEmbeddings());
    Random random = new Random(seed);
    for (Parameter parameter : model.parameters.values()) {
      String name = parameter.name();
      boolean writes = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
      double deviation =
          name.startsWith("model.embed") || name.startsWith("lm_head")
              ? 0.02
              : 1
                  / Math.sqrt(
                      parameter.shape().getLast() * (writes ? 2.0 * config.numLayers() : 1));
      for (int i = 0; i < parameter.size(); i++) {
        float value =
            parameter.isMatrix()
                ? (float) (deviation * random.nextGaussian())
                : name.endsWith(".bias") ? 0 : 1;
        parameter.set(i, value);
      }
    }
    return model;
  }

  /**
   * Loads a plain (16- or 32-bit) Hugging Face checkpoint.
   *
   * @throws io.tercel.kernels.format.CheckpointException if it cannot be used
   */
  public static QatModel load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return load(checkpoint);
    }
  }

  /**
   * Loads what {@code tercel quantize} exported: each linear has the latents, scales and zero
   * points of the training state beside it, and is fake-quantized, so that the forward pass is that
   * of the model as it is served.
   *
   * @throws io.tercel.kernels.format.CheckpointException if the export or its state cannot be used
   */
  public static QatModel loadQuantized(Path export) {
    try (Checkpoint checkpoint = Checkpoint.open(export)) {
      if (checkpoint.layers().getFirst().q() instanceof LinearSource.W4) {
        try (W4State state = W4State.open(export)) {
          return load(checkpoint, StartingPoint.of(state));
        }
      }
      try (PtqState state = PtqState.open(export)) {
        return load(checkpoint, StartingPoint.of(state));
      }
    }
  }

  /** Loads an open checkpoint, which may be closed afterwards. */
  public static QatModel load(Checkpoint checkpoint) {
    return load(checkpoint, null);
  }

  private static QatModel load(Checkpoint checkpoint, @Nullable StartingPoint start) {
    LinearSource.Plain head = checkpoint.head();
    boolean biased = checkpoint.layers().stream().anyMatch(layer -> layer.q().bias() != null);
    QatModel model = new QatModel(checkpoint.config(), biased, head != null);
    try {
      model.fill(EMBEDDING, checkpoint.embedding().weight());
      for (int i = 0; i < checkpoint.layers().size(); i++) {
        LayerSource layer = checkpoint.layers().get(i);
        layer.matrices().forEach(linear -> model.fill(linear, start));
        layer.norms().forEach(norm -> model.fill(norm.name(), norm));
        layer.transformTensors().forEach(model::addTransform);
      }
      model.fill(FINAL_NORM, checkpoint.finalNorm());
      if (head != null) {
        model.fill(head.name() + ".weight", head.weight());
      }
      return model;
    } catch (Throwable t) {
      model.close();
      throw t;
    }
  }

  /** Where quantization-aware training of a linear begins. */
  private interface StartingPoint {
    float[] latents(String linear);

    FakeQuant grid(LinearSource linear);

    static StartingPoint of(PtqState state) {
      return new StartingPoint() {
        @Override
        public float[] latents(String linear) {
          return state.latents(linear);
        }

        @Override
        public FakeQuant grid(LinearSource linear) {
          return FakeQuant.frozen(state.matrix(linear.name()));
        }
      };
    }

    static StartingPoint of(W4State state) {
      return new StartingPoint() {
        @Override
        public float[] latents(String linear) {
          return state.floats(linear + ".latent");
        }

        @Override
        public FakeQuant grid(LinearSource linear) {
          return FakeQuant.ofRows(
              linear.rows(), linear.cols(), state.floats(linear.name() + ".scales"));
        }
      };
    }
  }

  private void fill(LinearSource source, @Nullable StartingPoint start) {
    if (source instanceof LinearSource.Plain plain) {
      fill(plain.name() + ".weight", plain.weight());
    } else if (source instanceof LinearSource.Compressed) {
      throw new CheckpointException(
          source.name()
              + " is of compressed-tensors; a student starts from a plain model, or from what"
              + " tercel quantize has exported, with its state");
    } else if (start == null) {
      throw new CheckpointException(
          source.name() + " is quantized; a student starts from a plain model or a state");
    } else {
      Parameter weight = parameter(source.name() + ".weight");
      weight.set(start.latents(source.name()));
      weight.quantize(start.grid(source));
    }
    Tensor bias = source.bias();
    if (bias != null) {
      fill(bias.name(), bias);
    }
  }

  /** A factor of a transform, or the shares of a range, of which the logits are kept. */
  private void addTransform(Tensor tensor) {
    long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
    add(tensor.name(), shape);
    float[] values = tensor.toFloats();
    if (tensor.name().endsWith(CLIP)) {
      for (int i = 0; i < values.length; i++) {
        // a share of 1 has no logit; this is less by what no code notices
        double share = Math.min(values[i], 1 - 1e-6);
        values[i] = (float) Math.log(share / (1 - share));
      }
    }
    parameter(tensor.name()).set(values);
  }

  /** The shares of a range that are served, of the logits that are trained. */
  public static float[] shares(Parameter logits) {
    float[] shares = logits.toFloats();
    for (int i = 0; i < shares.length; i++) {
      shares[i] = (float) (1 / (1 + Math.exp(-shares[i])));
    }
    return shares;
  }

  private void fill(String name, Tensor tensor) {
    Parameter parameter = parameter(name);
    parameter.set(tensor.toFloats());
    if (tensor.dtype() != DType.F32) {
      storage.put(name, tensor.dtype());
    }
  }

  /**
   * Chooses what is trained; the rest is frozen, and costs neither gradients nor moments. Norms,
   * biases and the embedding are rounded in the forward pass to the type that they are stored in.
   */
  public QatModel train(Set<TrainedPart> parts) {
    for (Parameter parameter : List.copyOf(parameters.values())) {
      TrainedPart part = TrainedPart.of(parameter);
      parameter.trained(part != null && parts.contains(part));
      if (parameter.quant() != null && parts.contains(TrainedPart.SCALES)) {
        parameter.learnScales(parts.contains(TrainedPart.LATENTS));
      }
      DType stored = storage.get(parameter.name());
      if (parameter.trained() && parameter.quant() == null && stored != null) {
        parameter.storedAs(stored);
      }
    }
    return this;
  }

  /** Those that {@link #train} has chosen, learned scales included, in a fixed order. */
  public List<Parameter> trained() {
    List<Parameter> all = new ArrayList<>();
    for (Parameter parameter : parameters.values()) {
      if (parameter.trained()) {
        all.add(parameter);
      }
      Parameter growth = parameter.scaleGrowth();
      if (growth != null) {
        all.add(growth);
      }
    }
    return all;
  }

  public ModelConfig config() {
    return config;
  }

  /** All, in a fixed order. */
  public List<Parameter> parameters() {
    return List.copyOf(parameters.values());
  }

  /** By its name in a Hugging Face checkpoint. */
  public Parameter parameter(String name) {
    Parameter parameter = parameters.get(name);
    if (parameter == null) {
      throw new IllegalArgumentException("there is no " + name);
    }
    return parameter;
  }

  /** Likewise, or null. */
  @Nullable Parameter find(String name) {
    return parameters.get(name);
  }

  /** The weights of the decoder layers' linears: what is quantized. */
  public List<Parameter> linears() {
    return parameters.values().stream()
        .filter(p -> p.isMatrix() && p.name().startsWith("model.layers."))
        .toList();
  }

  /**
   * One forward and backward pass; gradients are added to what the trained parameters hold.
   *
   * @return the loss
   */
  public double backward(TokenBatch batch, RowLoss loss) {
    try (Pass pass = new Pass(batch)) {
      return pass.backward(loss);
    }
  }

  /**
   * A forward pass without gradients.
   *
   * @param reader gets the logits of the batch's rows, some rows at a time
   */
  public void evaluate(TokenBatch batch, LogitsReader reader) {
    try (Pass pass = new Pass(batch)) {
      pass.evaluate(reader);
    }
  }

  /** Reads logits. */
  @FunctionalInterface
  public interface LogitsReader {
    /**
     * @param logits [rows][vocab] of the batch's rows from {@code first} on, which live until it
     *     returns
     */
    void read(NDArray logits, int first);
  }

  /** Arrays that PyTorch holds for this model between passes. */
  int openArrays() {
    return manager.getManagedArrays().size();
  }

  /**
   * What is rounded besides weights: inputs as the linears' format has it, keys and values as they
   * are cached.
   */
  public Precision precision() {
    FakeQuant quant = layers.getFirst().weight(Matrix.Q).quant();
    return new Precision(quant == null ? 32 : quant.isFourBit() ? 4 : 16, cacheBits);
  }

  /**
   * Rounds keys and values as a cache of so many bits does.
   *
   * @param bits 32, the default, 16 or 4
   */
  public QatModel cacheBits(int bits) {
    cacheBits = new Precision(32, bits).cache();
    return this;
  }

  /**
   * How much memory the activations of a pass may take at a time: where all layers' are more, those
   * of a few are computed once more in the backward pass.
   */
  public QatModel activationBytes(long bytes) {
    activationBytes = bytes;
    return this;
  }

  /** Layers whose activations are kept at a time in a pass of so many tokens. */
  private int layersAtOnce(int tokens) {
    long floats =
        12L * config.hiddenSize()
            + 8L * config.intermediateSize()
            + 8L * (config.queryDim() + config.kvDim());
    return (int) Math.clamp(activationBytes / (4 * floats * tokens), 1, config.numLayers());
  }

  /** One batch on its way through the layers, a few at a time. */
  private final class Pass implements AutoCloseable {
    private final TokenBatch batch;
    private final Arena memory = Arena.ofShared();
    private final Precision precision = precision();
    private final int atOnce;
    private final List<HiddenStates> entering = new ArrayList<>(); // of each few layers

    Pass(TokenBatch batch) {
      this.batch = batch;
      this.atOnce = layersAtOnce(batch.tokens());
      HiddenStates first = new HiddenStates(memory, batch.tokens(), config.hiddenSize());
      embed(first.memory());
      entering.add(first);
    }

    private void embed(MemorySegment to) {
      long row = 4L * config.hiddenSize();
      MemorySegment table = embedding().read();
      for (int i = 0; i < batch.tokens(); i++) {
        MemorySegment.copy(table, batch.ids()[i] * row, to, i * row, row);
      }
    }

    void evaluate(LogitsReader reader) {
      int first = forwardAllButLast();
      HiddenStates states = new HiddenStates(memory, batch.rows().length, config.hiddenSize());
      try (Few few = new Few(first, false)) {
        states.set(few.predicting());
      }
      new Head(headWeight()).forward(manager, states.memory(), batch.rows().length, reader);
    }

    double backward(RowLoss loss) {
      int first = forwardAllButLast();
      HiddenStates gradient = new HiddenStates(memory, batch.tokens(), config.hiddenSize());
      double value;
      try (GradientCollector collector = Torch.newGradientCollector()) {
        try (Few few = new Few(first, true)) {
          NDArray states = few.predicting();
          int rows = batch.rows().length;
          HiddenStates kept = new HiddenStates(memory, rows, config.hiddenSize());
          HiddenStates ofRows = new HiddenStates(memory, rows, config.hiddenSize());
          kept.set(states);
          value =
              new Head(headWeight()).backward(manager, kept.memory(), batch, loss, ofRows.memory());
          few.backward(collector, states, ofRows);
          gradient.set(few.gradient());
        }
        while (first > 0) {
          first -= atOnce;
          try (Few few = new Few(first, true)) {
            few.backward(collector, few.output(), gradient);
            gradient.set(few.gradient());
          }
        }
      }
      if (embedding().trained()) {
        addToEmbedding(gradient.memory());
      }
      return value;
    }

    /** Computes what enters each few layers; the first of the last few. */
    private int forwardAllButLast() {
      int first = 0;
      for (; first + atOnce < config.numLayers(); first += atOnce) {
        HiddenStates next = new HiddenStates(memory, batch.tokens(), config.hiddenSize());
        try (Few few = new Few(first, false)) {
          next.set(few.output());
        }
        entering.add(next);
      }
      return first;
    }

    private void addToEmbedding(MemorySegment gradient) {
      MemorySegment sum = embedding().gradient();
      int hidden = config.hiddenSize();
      for (int i = 0; i < batch.tokens(); i++) {
        long to = (long) batch.ids()[i] * hidden;
        long from = (long) i * hidden;
        for (int j = 0; j < hidden; j++) {
          float value = sum.getAtIndex(FLOAT, to + j) + gradient.getAtIndex(FLOAT, from + j);
          sum.setAtIndex(FLOAT, to + j, value);
        }
      }
    }

    /** A few layers' activations; the last few have the final norm behind them. */
    private final class Few implements AutoCloseable {
      private final NDManager step = manager.newSubManager();
      private final NDScope scope = new NDScope();
      private final List<StudentLayer.Leaves> leaves = new ArrayList<>();
      private final DecoderPass decoder;
      private final NDArray input;
      private final NDArray output;
      private final boolean gradient;
      private @Nullable NDArray finalNorm;

      Few(int first, boolean gradient) {
        scope.suppressNotUsedWarning();
        this.gradient = gradient;
        decoder = new DecoderPass(script, config, step, batch.lengths());
        input = entering.get(first / atOnce).array(step);
        input.setRequiresGradient(gradient);
        NDArray x = input;
        for (int i = first; i < Math.min(config.numLayers(), first + atOnce); i++) {
          StudentLayer.Leaves of = layers.get(i).new Leaves(step, gradient);
          leaves.add(of);
          x = decoder.layer(x, of.arrays(), precision);
        }
        output = x;
      }

      NDArray output() {
        return output;
      }

      NDArray predicting() {
        finalNorm = parameter(FINAL_NORM).leaf(step, gradient);
        return decoder.predicting(output, finalNorm, batch.rows());
      }

      void backward(GradientCollector collector, NDArray from, HiddenStates gradient) {
        collector.backward(from.mul(gradient.array(step)).sum());
        leaves.forEach(StudentLayer.Leaves::accumulate);
        if (finalNorm != null) {
          parameter(FINAL_NORM).accumulate(finalNorm);
        }
      }

      NDArray gradient() {
        return input.getGradient();
      }

      @Override
      public void close() {
        scope.close();
        step.close();
      }
    }

    @Override
    public void close() {
      memory.close();
    }
  }

  private Parameter embedding() {
    return parameter(EMBEDDING);
  }

  /** [vocab, hidden]: the embedding, if it is tied. */
  public Parameter headWeight() {
    Parameter own = parameters.get(HEAD);
    return own == null ? embedding() : own;
  }

  @Override
  public void close() {
    script.close();
    manager.close();
    arena.close();
  }
}
