package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.ptq.AwqSearch.Scales;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Quantizes layers by AWQ. Of each input that linears share it seeks the ratio by which the inputs'
 * strengths are multiplied into the weights: for q, k and v by what it does to the output of the
 * attention, for gate and up to that of the MLP, for down (out of up's rows) and, where shapes
 * allow, o (out of v's) to the linear's own. Then each group of all but q and k is clipped where
 * its part of the output is least wrong.
 *
 * <p>It observes what the layers before give once they are quantized. Attention and MLP are judged
 * on the beginnings of the first sequences, which walk along; strengths and clips on all tokens.
 */
final class AwqLayers implements LayerMethod {
  private static final int PROBES = 8;
  private static final int PROBE_TOKENS = 256;
  private static final List<Matrix> QKV = List.of(Matrix.K, Matrix.V, Matrix.Q);
  private static final List<Matrix> GATE_UP = List.of(Matrix.UP, Matrix.GATE);

  private final QuantizeOptions options;
  private final Ops ops;
  private final LayerForward forward;
  private final LayerForward probe;
  private final long tokens;

  /**
   * @param forward all sequences
   * @param probe those by which attention and MLP are judged, as {@link #probes} chooses them
   * @param tokens of all sequences
   */
  AwqLayers(
      QuantizeOptions options, LayerForward forward, LayerForward probe, long tokens, Ops ops) {
    this.options = options;
    this.forward = forward;
    this.probe = probe;
    this.tokens = tokens;
    this.ops = ops;
  }

  static Calibration probes(Calibration calibration) {
    return calibration.beginnings(PROBES, PROBE_TOKENS);
  }

  @Override
  public void quantize(LayerSource layer, LayerExport to) throws IOException {
    ScaledLayer plain = new ScaledLayer(layer);
    for (Matrix m : Matrix.values()) {
      to.check(m, () -> Rtn.checkFinite(plain.weight(m), layer.matrix(m).cols()));
    }
    Work work = new Work(plain, new ScaledLayer(layer), to);
    work.attention();
    work.mlp();
    forward.leave();
    probe.leave();
    to.finish(work.scaled.norms());
  }

  @Override
  public void pass(LayerWeights finished) {
    forward.pass(finished);
    probe.pass(finished);
  }

  @Override
  public void close() {
    forward.close();
    probe.close();
  }

  /**
   * What was seen of an input that linears share.
   *
   * @param cols inputs
   */
  private record Seen(int cols, InputMoments moments, InputSample sample) {}

  /** One layer. */
  private final class Work {
    private final ScaledLayer plain;
    private final ScaledLayer scaled;
    private final LayerExport to;
    private final AwqSearch search = new AwqSearch(options.plainGrid(), ops);

    Work(ScaledLayer plain, ScaledLayer scaled, LayerExport to) {
      this.plain = plain;
      this.scaled = scaled;
      this.to = to;
    }

    void attention() throws IOException {
      forward.enter(plain.norms());
      probe.enter(plain.norms());
      for (Matrix m : List.of(Matrix.Q, Matrix.K, Matrix.V, Matrix.O)) {
        putBoth(m, new Linear(to.original(m), plain.bias(m)));
      }
      Seen inputs = observe(Matrix.Q, forward::attentionInputs);
      Scales scales = judge(inputs, QKV, probe::afterAttention);
      Scales outputs = new Scales(ones(to.original(Matrix.O).cols()), 0);
      if (scaled.valuesAreOutputs()) {
        Scales found = judge(observe(Matrix.O, forward::outputInputs), Matrix.O);
        outputs = new Scales(scaled.throughValues(found.factors()), found.ratio());
      }
      float[] factors = scaled.throughNorm(Norm.INPUT, QKV, scales.factors());
      changeNorms();
      for (Matrix m : QKV) {
        writeBefore(m, inputs, new Scales(factors, scales.ratio()));
      }
      writeAfter(Matrix.O, observe(Matrix.O, forward::outputInputs), outputs);
    }

    void mlp() throws IOException {
      for (Matrix m : List.of(Matrix.GATE, Matrix.UP, Matrix.DOWN)) {
        putBoth(m, new Linear(to.original(m), plain.bias(m)));
      }
      probe.mlpInputs((x, count, sequences) -> {});
      Seen inputs = observe(Matrix.UP, forward::mlpInputs);
      Scales scales = judge(inputs, GATE_UP, probe::afterFeedForward);
      Scales down = judge(observe(Matrix.DOWN, forward::downInputs), Matrix.DOWN);
      scaled.throughUp(down.factors());
      float[] factors = scaled.throughNorm(Norm.POST_ATTENTION, GATE_UP, scales.factors());
      changeNorms();
      for (Matrix m : GATE_UP) {
        writeBefore(m, inputs, new Scales(factors, scales.ratio()));
      }
      writeAfter(Matrix.DOWN, observe(Matrix.DOWN, forward::downInputs), down);
    }

    private void changeNorms() {
      forward.norms(scaled.norms());
      probe.norms(scaled.norms());
    }

    private void putBoth(Matrix m, Linear linear) {
      forward.put(m, linear);
      probe.put(m, linear);
    }

    private Seen observe(Matrix reader, Consumer<LayerForward.Inputs> pass) {
      int cols = to.original(reader).cols();
      Seen seen = new Seen(cols, new InputMoments(cols), new InputSample(cols, tokens, ops));
      pass.accept(
          (x, count, sequences) -> {
            seen.moments().add(x, count, ops);
            seen.sample().add(x, count);
          });
      return seen;
    }

    /** What is best for what comes of several linears. */
    private Scales judge(Seen inputs, List<Matrix> which, Supplier<List<float[]>> outcome) {
      List<float[]> expected = outcome.get();
      List<AwqSearch.Candidate> candidates = new ArrayList<>();
      for (Matrix m : which) {
        candidates.add(search.candidate(m.name(), plain.weight(m), inputs.cols(), to.arena()));
      }
      return AwqSearch.best(
          inputs.moments().strengths(),
          factors -> {
            for (int i = 0; i < which.size(); i++) {
              Matrix m = which.get(i);
              probe.put(m, new Linear(candidates.get(i).under(factors), plain.bias(m)));
            }
            List<float[]> actual = outcome.get();
            double error = 0;
            for (int b = 0; b < actual.size(); b++) {
              error += InputSample.squaredError(actual.get(b), expected.get(b));
            }
            return error;
          });
    }

    /** What is best for one linear by itself. */
    private Scales judge(Seen inputs, Matrix m) {
      float[] expected = inputs.sample().multiply(to.original(m));
      AwqSearch.Candidate candidate =
          search.candidate(m.name(), plain.weight(m), inputs.cols(), to.arena());
      return AwqSearch.best(
          inputs.moments().strengths(),
          factors ->
              InputSample.squaredError(
                  inputs.sample().multiply(candidate.under(factors)), expected));
    }

    /** Writes a linear whose inputs were seen before they were divided. */
    private void writeBefore(Matrix m, Seen seen, Scales scales) throws IOException {
      InputSample divided = seen.sample().times(reciprocals(scales.factors()));
      write(m, new Sampled(seen.moments(), scales.factors(), divided, seen.sample()), scales);
    }

    /** Writes a linear whose inputs were seen divided already. */
    private void writeAfter(Matrix m, Seen seen, Scales scales) throws IOException {
      InputSample original = seen.sample().times(scales.factors());
      write(m, new Sampled(seen.moments(), ones(seen.cols()), seen.sample(), original), scales);
    }

    private void write(Matrix m, Sampled inputs, Scales scales) throws IOException {
      float[] weight = scaled.weight(m);
      int cols = inputs.factors().length;
      int rows = weight.length / cols;
      boolean clip = options.clip() && m != Matrix.Q && m != Matrix.K;
      Grid grid = options.plainGrid();
      QuantizedMatrix matrix =
          to.named(
              m,
              () ->
                  clip
                      ? AwqClip.quantize(
                          weight, rows, inputs.moments(), inputs.factors(), grid, ops)
                      : Rtn.quantize(weight, rows, cols, grid, ops));
      QuantizedMatrix rounded =
          to.named(m, () -> Rtn.quantize(plain.weight(m), rows, cols, grid, ops));
      LayerExport.Outputs outputs =
          new LayerExport.Outputs(
              inputs.divided().error(AwqSearch.dense(m.name(), weight, cols, to.arena()), matrix),
              inputs.original().error(to.original(m), rounded));
      Gptq.Result result = new Gptq.Result(matrix, weight);
      Map<String, Number> details = Map.of("ratio", scales.ratio());
      putBoth(m, to.write(m, result, weight, scaled.bias(m), outputs, details));
    }
  }

  /**
   * The inputs of a linear.
   *
   * @param factors that the moments are yet to be divided by
   * @param divided as the scaled linear reads them
   * @param original as the unscaled linear would
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  private record Sampled(
      InputMoments moments, float[] factors, InputSample divided, InputSample original) {}

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  private static float[] reciprocals(float[] factors) {
    float[] reciprocals = new float[factors.length];
    for (int i = 0; i < factors.length; i++) {
      reciprocals[i] = 1 / factors[i];
    }
    return reciprocals;
  }
}
