package io.tercel.server.model;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.WeightPlan;
import java.util.List;
import java.util.Map;

/**
 * A tiny twin of a served model: two narrow layers of random weights, but the same formats, heads,
 * KV type, vocabulary, tokenizer, template and forms. What it says is nonsense; what it runs is the
 * code that the served model will run, so that the compiler knows that code before the first client
 * comes. Its engine, cache and figures are its own: nothing of it is left in the served model's.
 */
public final class Miniature implements AutoCloseable {
  private static final int LAYERS = 2;
  private static final int HIDDEN = 128;
  private static final int INTERMEDIATE = 256;

  /** Attention takes its context in splits of 256 tokens: enough for several of them. */
  private static final int MAX_MODEL_LEN = 1024;

  private static final int MAX_NUM_SEQS = 8;
  private static final long SEED = 1;

  private final RunningEngine running;
  private final ServedModel served;

  private Miniature(RunningEngine running, ServedModel served) {
    this.running = running;
    this.served = served;
  }

  /**
   * Whether there can be one: a GPU's kernels are compiled for each shape, so another's are none.
   */
  public static boolean fits(ServingOptions options) {
    return !options.backend().equals(Backends.TORNADO);
  }

  /** The twin of a model that runs. */
  static Miniature of(ServingPlan plan, ServedModel model, ServingOptions options) {
    ModelConfig config = narrow(plan.config());
    List<WeightPlan.Matrix> matrices = plan.weights().matrices();
    QuantFormat.Dense head =
        matrices.getFirst().format() instanceof QuantFormat.Dense dense
            ? dense
            : QuantFormat.Dense.BF16;
    QuantFormat linears = matrices.get(1).format();
    ServingOptions small =
        new ServingOptions()
            .backend(options.backend())
            .threads(options.threads())
            .maxModelLen(Math.min(MAX_MODEL_LEN, config.maxPositionEmbeddings()))
            .maxNumSeqs(MAX_NUM_SEQS)
            .kvCacheDtype(plan.kv().type().label())
            .lmHeadDtype(options.lmHeadType().label())
            .reasoning(options.reasoning());
    RunningEngine running =
        RunningEngine.random(config, linears, head, SEED, small, model.eosTokenIds());
    ServedModel served =
        new ServedModel(
            model.tokenizer(),
            model.chatTemplate(),
            running.engine(),
            model.defaults(),
            model.eosTokenIds(),
            model.markers(),
            running.engine().maxModelLen(),
            model.reasoning(),
            model.created(),
            Map.of(),
            model.forms());
    return new Miniature(running, served);
  }

  private static ModelConfig narrow(ModelConfig c) {
    return new ModelConfig(
        c.architecture(),
        Math.min(HIDDEN, c.hiddenSize()),
        Math.min(INTERMEDIATE, c.intermediateSize()),
        Math.min(LAYERS, c.numLayers()),
        c.numHeads() / c.numKvHeads(),
        1,
        c.headDim(),
        c.vocabSize(),
        c.rmsNormEps(),
        c.ropeTheta(),
        c.maxPositionEmbeddings(),
        c.tieWordEmbeddings(),
        c.eosTokenIds());
  }

  /** What an API is put before. */
  public ServedModel served() {
    return served;
  }

  @Override
  public void close() {
    running.close();
  }
}
