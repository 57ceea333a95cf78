package io.tercel.trainer.ptq.transform;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.ops.Ops;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A decoder in doubles whose layers may have been rewritten; nothing is rounded. */
final class DoubleModel {
  private record Layer(LayerTensors<DoubleLinear, double[]> tensors, OnlineTransforms online) {
    double[] apply(Matrix which, double[] x) {
      return tensors.matrix(which).apply(x);
    }
  }

  private final ModelConfig config;
  private final List<Layer> layers = new ArrayList<>();
  private final double[] embedding;
  private final double[] head;
  private double[] finalNorm;

  DoubleModel(Checkpoint source) {
    config = source.config();
    embedding = DoubleLinear.doubles(source.embedding().weight());
    LinearSource.Plain own = source.head();
    head = own == null ? embedding.clone() : DoubleLinear.doubles(own.weight());
    finalNorm = DoubleLinear.doubles(source.finalNorm());
    for (LayerSource from : source.layers()) {
      layers.add(
          new Layer(
              new LayerTensors<>(
                  from.mapMatrices(l -> DoubleLinear.of((LinearSource.Plain) l)),
                  from.mapNorms(DoubleLinear::doubles)),
              OnlineTransforms.NONE));
    }
  }

  double[] inputNorm(int layer) {
    return layers.get(layer).tensors.inputNorm();
  }

  double[] postAttentionNorm(int layer) {
    return layers.get(layer).tensors.postAttentionNorm();
  }

  void rewrite(int index, LayerRewrite rewrite, Ops ops) {
    LayerTensors<DoubleLinear, double[]> before = layers.get(index).tensors;
    Map<Norm, double[]> norms = new EnumMap<>(Norm.class);
    for (Norm norm : Norm.values()) {
      double[] weight = before.norm(norm);
      if (weight != null) {
        norms.put(norm, rewrite.norm(norm, weight));
      }
    }
    Map<Matrix, DoubleLinear> linears =
        LayerTensors.matrices(which -> rewrite.apply(which, before.matrix(which), ops));
    layers.set(index, new Layer(new LayerTensors<>(linears, norms), rewrite.online()));
  }

  void rotateEnds(QuaRot quaRot, Ops ops) {
    quaRot.embedding(embedding, ops);
    quaRot.head(head, finalNorm, ops);
    finalNorm = quaRot.finalNorm();
  }

  double[][] logits(int[] tokens) {
    int hidden = config.hiddenSize();
    double[][] x = new double[tokens.length][hidden];
    for (int t = 0; t < tokens.length; t++) {
      System.arraycopy(embedding, tokens[t] * hidden, x[t], 0, hidden);
    }
    for (Layer layer : layers) {
      attention(layer, x);
      feedForward(layer, x);
    }
    double[][] logits = new double[tokens.length][];
    DoubleLinear last = new DoubleLinear(config.vocabSize(), hidden, head, null);
    for (int t = 0; t < tokens.length; t++) {
      logits[t] = last.apply(norm(x[t], 0, hidden, finalNorm));
    }
    return logits;
  }

  private void attention(Layer layer, double[][] x) {
    int width = config.headDim();
    double[][] q = new double[x.length][];
    double[][] k = new double[x.length][];
    double[][] v = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] in = norm(x[t], 0, x[t].length, layer.tensors.inputNorm());
      transform(in, layer.online.qkv());
      q[t] = heads(layer.apply(Matrix.Q, in), layer.tensors.qNorm(), t);
      k[t] = heads(layer.apply(Matrix.K, in), layer.tensors.kNorm(), t);
      v[t] = layer.apply(Matrix.V, in);
      eachHead(q[t], layer.online.queries());
      eachHead(k[t], layer.online.keys());
    }
    for (int t = 0; t < x.length; t++) {
      double[] mixed = new double[config.queryDim()];
      for (int head = 0; head < config.numHeads(); head++) {
        int kv = head / (config.numHeads() / config.numKvHeads());
        double[] p = new double[t + 1];
        double sum = 0;
        for (int s = 0; s <= t; s++) {
          for (int d = 0; d < width; d++) {
            p[s] += q[t][head * width + d] * k[s][kv * width + d] / Math.sqrt(width);
          }
          p[s] = Math.exp(p[s]);
          sum += p[s];
        }
        for (int s = 0; s <= t; s++) {
          for (int d = 0; d < width; d++) {
            mixed[head * width + d] += p[s] / sum * v[s][kv * width + d];
          }
        }
      }
      transform(mixed, layer.online.o());
      add(x[t], layer.apply(Matrix.O, mixed));
    }
  }

  private void feedForward(Layer layer, double[][] x) {
    for (double[] row : x) {
      double[] in = norm(row, 0, row.length, layer.tensors.postAttentionNorm());
      transform(in, layer.online.gateUp());
      double[] gate = layer.apply(Matrix.GATE, in);
      double[] up = layer.apply(Matrix.UP, in);
      for (int i = 0; i < gate.length; i++) {
        gate[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
      }
      transform(gate, layer.online.down());
      add(row, layer.apply(Matrix.DOWN, gate));
    }
  }

  private static void transform(double[] x, @Nullable Kronecker by) {
    if (by != null) {
      by.applyRows(x);
    }
  }

  private static void eachHead(double[] x, @Nullable SquareMatrix by) {
    if (by != null) {
      Kronecker.right(x.length / by.size(), by).applyRows(x);
    }
  }

  private static void add(double[] x, double[] y) {
    for (int i = 0; i < x.length; i++) {
      x[i] += y[i];
    }
  }

  private double[] norm(double[] x, int at, int size, double[] weight) {
    double squares = 0;
    for (int i = at; i < at + size; i++) {
      squares += x[i] * x[i];
    }
    double[] y = new double[size];
    for (int i = 0; i < size; i++) {
      y[i] = x[at + i] / Math.sqrt(squares / size + config.rmsNormEps()) * weight[i];
    }
    return y;
  }

  private double[] heads(double[] x, double @Nullable [] norm, int position) {
    int width = config.headDim();
    double[] turned = new double[x.length];
    for (int at = 0; at < x.length; at += width) {
      double[] h = new double[width];
      System.arraycopy(
          norm == null ? x : norm(x, at, width, norm), norm == null ? at : 0, h, 0, width);
      for (int d = 0; d < width / 2; d++) {
        double angle = position * Math.pow(config.ropeTheta(), -2.0 * d / width);
        double other = h[d + width / 2];
        turned[at + d] = h[d] * Math.cos(angle) - other * Math.sin(angle);
        turned[at + d + width / 2] = other * Math.cos(angle) + h[d] * Math.sin(angle);
      }
    }
    return turned;
  }
}
