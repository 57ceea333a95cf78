package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.quant.PtqState;
import io.tercel.trainer.quant.QuantizedMatrix;
import io.tercel.trainer.torch.Parameter;
import io.tercel.trainer.torch.Torch;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
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
  private final ModelConfig config;
  private final Arena arena = Arena.ofShared();
  private final NDManager manager;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();

  private QatModel(ModelConfig config, boolean withBiases, boolean ownHead) {
    this.config = config;
    add("model.embed_tokens.weight", config.vocabSize(), config.hiddenSize());
    for (int i = 0; i < config.numLayers(); i++) {
      addLayer(i, withBiases);
    }
    add("model.norm.weight", config.hiddenSize());
    if (ownHead) {
      add("lm_head.weight", config.vocabSize(), config.hiddenSize());
    }
    manager = Torch.newManager();
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
    try (Checkpoint checkpoint = Checkpoint.open(export);
        PtqState state = PtqState.open(export)) {
      return load(checkpoint, state);
    }
  }

  /** Loads an open checkpoint, which may be closed afterwards. */
  public static QatModel load(Checkpoint checkpoint) {
    return load(checkpoint, null);
  }

  private static QatModel load(Checkpoint checkpoint, @Nullable PtqState state) {
    LinearSource.Plain head = checkpoint.head();
    boolean biased = checkpoint.layers().stream().anyMatch(layer -> layer.q().bias() != null);
    QatModel model = new QatModel(checkpoint.config(), biased, head != null);
    try {
      model.fill("model.embed_tokens.weight", checkpoint.embedding().weight());
      for (int i = 0; i < checkpoint.layers().size(); i++) {
        LayerSource layer = checkpoint.layers().get(i);
        layer.matrices().forEach(linear -> model.fill(linear, state));
        layer.norms().forEach(norm -> model.fill(norm.name(), norm));
      }
      model.fill("model.norm.weight", checkpoint.finalNorm());
      if (head != null) {
        model.fill(head.name() + ".weight", head.weight());
      }
      return model;
    } catch (Throwable t) {
      model.close();
      throw t;
    }
  }

  private void fill(LinearSource source, @Nullable PtqState state) {
    switch (source) {
      case LinearSource.Plain plain -> fill(plain.name() + ".weight", plain.weight());
      case LinearSource.Gptq packed -> {
        if (state == null) {
          throw new CheckpointException(
              packed.name() + " is quantized; a student starts from a plain model or a state");
        }
        Parameter weight = parameter(packed.name() + ".weight");
        QuantizedMatrix matrix = state.matrix(packed.name());
        weight.set(state.latents(packed.name()));
        weight.quantize(FakeQuant.frozen(matrix));
      }
      case LinearSource.Compressed packed ->
          throw new CheckpointException(
              packed.name()
                  + " is of compressed-tensors; a student starts from a plain model, or a GPTQ one with its state");
      case LinearSource.W4 packed ->
          throw new CheckpointException(
              packed.name() + " is of 4 bits; a student starts from a plain or a 3-bit model");
    }
    fill(source.name() + ".bias", source.bias());
  }

  private void fill(String name, @Nullable Tensor tensor) {
    if (tensor != null) {
      parameter(name).set(tensor.toFloats());
    }
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

  /** The weights of the decoder layers' linears: what is quantized. */
  public List<Parameter> linears() {
    return parameters.values().stream()
        .filter(p -> p.isMatrix() && p.name().startsWith("model.layers."))
        .toList();
  }

  /**
   * One forward and backward pass; gradients are added to what the parameters hold.
   *
   * @return the loss
   */
  public float backward(TokenBatch batch, LossFunction loss) {
    try (NDManager step = manager.newSubManager();
        NDScope scope = new NDScope();
        GradientCollector collector = Torch.newGradientCollector()) {
      scope.suppressNotUsedWarning();
      Map<String, NDArray> leaves = leaves(step, true);
      NDArray logits = new Decoder(config, leaves, this::isQuantized, step, batch).logits(batch);
      NDArray value = loss.apply(logits, batch);
      collector.backward(value);
      leaves.forEach((name, leaf) -> parameter(name).accumulate(leaf));
      return value.getFloat();
    }
  }

  /**
   * A forward pass without gradients.
   *
   * @param read gets logits [rows of the batch][vocab], which live until it returns
   */
  public <T> T evaluate(TokenBatch batch, Function<NDArray, T> read) {
    try (NDManager step = manager.newSubManager();
        NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      return read.apply(
          new Decoder(config, leaves(step, false), this::isQuantized, step, batch).logits(batch));
    }
  }

  /** Arrays that PyTorch holds for this model between passes. */
  int openArrays() {
    return manager.getManagedArrays().size();
  }

  private boolean isQuantized(String name) {
    return parameter(name).quant() != null;
  }

  private Map<String, NDArray> leaves(NDManager step, boolean gradient) {
    Map<String, NDArray> leaves = new LinkedHashMap<>();
    parameters.forEach((name, parameter) -> leaves.put(name, parameter.leaf(step, gradient)));
    return leaves;
  }

  @Override
  public void close() {
    manager.close();
    arena.close();
  }
}
