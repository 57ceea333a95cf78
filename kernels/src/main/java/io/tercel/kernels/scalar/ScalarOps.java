package io.tercel.kernels.scalar;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.KvAppend;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.RowInts;
import io.tercel.kernels.ops.StepBatch;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The definition of every operation: one thread, one element at a time, in the order the contract
 * states. Nothing here is fast; everything else is measured against it, to the bit.
 */
public final class ScalarOps implements Ops {

  @Override
  public String name() {
    return "scalar";
  }

  @Override
  public void embed(PackedMatrix table, StepBatch batch, float[] out) {
    int width = table.cols();
    Dense format = table.dense();
    for (int row = 0; row < batch.numTokens(); row++) {
      for (int j = 0; j < width; j++) {
        out[row * width + j] =
            format.element(table.segment(), (long) batch.tokenId(row) * width + j);
      }
    }
  }

  @Override
  public void rmsNorm(float[] x, float[] weight, float eps, int n, float[] out) {
    int width = weight.length;
    for (int row = 0; row < n; row++) {
      int at = row * width;
      float[] lanes = new float[LaneSum.LANES];
      for (int j = 0; j < width; j++) {
        int lane = j % LaneSum.LANES;
        lanes[lane] = Math.fma(x[at + j], x[at + j], lanes[lane]);
      }
      float sum = LaneSum.tree(lanes, 0);
      float scale = (float) (1.0 / Math.sqrt((double) sum / width + eps));
      scale = Float.isFinite(sum) ? scale : Float.NaN;
      for (int j = 0; j < width; j++) {
        out[at + j] = x[at + j] * scale * weight[j];
      }
    }
  }

  @Override
  public void prepare(Projection projection, float[] x, int n, PreparedInput input) {
    int cols = projection.cols();
    switch (projection.input()) {
      case InputSpec.Plain _ -> input.plain(x, n, cols);
      case InputSpec.Int16PerGroup spec -> {
        input.grouped(n, cols);
        for (int token = 0; token < n; token++) {
          round(x, token, spec.inputOrder(), input);
        }
      }
      case InputSpec.Int4PerToken spec -> {
        input.rows(n, cols);
        for (int token = 0; token < n; token++) {
          round(x, token, spec.transform(), input);
        }
      }
    }
  }

  private static void round(float[] x, int token, InputTransform transform, PreparedInput input) {
    int cols = input.cols();
    float[] row = transformed(transform, Arrays.copyOfRange(x, token * cols, (token + 1) * cols));
    float min = 0;
    float max = 0;
    boolean finite = true;
    for (float value : row) {
      finite &= Float.isFinite(value);
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    float low = min * transform.lowClip();
    float scale = RowInts.scale(low, max * transform.highClip(), finite);
    int zero = RowInts.zero(low, scale);
    int sum = 0;
    for (int c = 0; c < input.groups() * GroupedInts.GROUP; c++) {
      int code = c < cols ? RowInts.code(row[c], scale, zero) : 0;
      long at = input.rowCodesOffset(token, c / GroupedInts.GROUP) + c % GroupedInts.GROUP;
      input.codes().set(ValueLayout.JAVA_BYTE, at, (byte) code);
      sum += code;
    }
    input.rowMeta(token, scale, zero, sum);
  }

  private static float[] transformed(InputTransform transform, float[] x) {
    int m = transform.rows(x.length);
    int n = x.length / m;
    float[] left = transform.left();
    float[] right = transform.right();
    float[] t = left == null ? x : new float[x.length];
    for (int i = 0; i < m && left != null; i++) {
      for (int j = 0; j < n; j++) {
        for (int k = 0; k < m; k++) {
          t[i * n + j] = Math.fma(x[k * n + j], left[k * m + i], t[i * n + j]);
        }
      }
    }
    float[] y = right == null ? t : new float[x.length];
    for (int i = 0; i < m && right != null; i++) {
      for (int j = 0; j < n; j++) {
        for (int k = 0; k < n; k++) {
          y[i * n + j] = Math.fma(t[i * n + k], right[k * n + j], y[i * n + j]);
        }
      }
    }
    return y;
  }

  private static void round(float[] x, int token, int @Nullable [] order, PreparedInput input) {
    int cols = input.cols();
    float[] group = new float[GroupedInts.GROUP];
    for (int g = 0; g < input.groups(); g++) {
      for (int k = 0; k < GroupedInts.GROUP; k++) {
        int c = g * GroupedInts.GROUP + k;
        group[k] = c >= cols ? 0f : x[token * cols + (order == null ? c : order[c])];
      }
      input.round(token, g, group, 0);
    }
  }

  @Override
  public void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input) {
    float[] normed = new float[n * projection.cols()];
    rmsNorm(x, weight, eps, n, normed);
    prepare(projection, normed, n, input);
  }

  @Override
  public void gatePrepare(
      Projection projection, float[] gate, float[] up, int n, PreparedInput input) {
    swiglu(gate, up, n * projection.cols());
    prepare(projection, gate, n, input);
  }

  @Override
  public void linear(Projection projection, PreparedInput input, float[][] outs) {
    for (int i = 0; i < projection.linears().size(); i++) {
      Linear layer = projection.linears().get(i);
      PackedMatrix weight = layer.weight();
      float[] bias = layer.bias();
      for (int token = 0; token < input.tokens(); token++) {
        for (int r = 0; r < weight.rows(); r++) {
          float y = ScalarLinear.dot(weight, r, input, token);
          outs[i][token * weight.rows() + r] = bias == null ? y : y + bias[r];
        }
      }
    }
  }

  @Override
  public void rope(float[] x, int heads, int headDim, RopeTable table, int n) {
    for (int row = 0; row < n; row++) {
      for (int head = 0; head < heads; head++) {
        table.rotate(x, (row * heads + head) * headDim, row);
      }
    }
  }

  @Override
  public void transformHeads(float[] x, int heads, int headDim, float[] matrix, int n) {
    for (int head = 0; head < n * heads; head++) {
      float[] y = new float[headDim];
      for (int e = 0; e < headDim; e++) {
        for (int d = 0; d < headDim; d++) {
          y[e] = Math.fma(x[head * headDim + d], matrix[d * headDim + e], y[e]);
        }
      }
      System.arraycopy(y, 0, x, head * headDim, headDim);
    }
  }

  @Override
  public void appendKv(
      KvPool pool, int layer, StepBatch batch, float[] k, float[] v, KvTransform transform) {
    KvLayout layout = pool.layout();
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int row = batch.queryStart(s); row < batch.queryStart(s + 1); row++) {
        int position = batch.position(row);
        int block = batch.blockTable(s)[position / KvLayout.BLOCK_SIZE];
        for (int head = 0; head < layout.numKvHeads(); head++) {
          int at = (row * layout.numKvHeads() + head) * layout.headDim();
          KvAppend.write(
              pool, layer, block, position % KvLayout.BLOCK_SIZE, head, k, v, at, transform);
        }
      }
    }
  }

  @Override
  public void attention(
      KvPool pool, int layer, StepBatch batch, float[] q, int heads, float[] out) {
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int row = batch.queryStart(s); row < batch.queryStart(s + 1); row++) {
        ScalarAttention attention =
            new ScalarAttention(pool, layer, batch.blockTable(s), batch.position(row) + 1);
        for (int head = 0; head < heads; head++) {
          int kvHead = head / (heads / pool.layout().numKvHeads());
          int at = (row * heads + head) * pool.layout().headDim();
          attention.attend(kvHead, q, out, at);
        }
      }
    }
  }

  @Override
  public void swiglu(float[] gate, float[] up, int count) {
    for (int i = 0; i < count; i++) {
      gate[i] = gate[i] / (1f + Exp.exp(-gate[i])) * up[i];
    }
  }

  @Override
  public void add(float[] x, float[] y, int count) {
    for (int i = 0; i < count; i++) {
      x[i] += y[i];
    }
  }

  @Override
  public int argMax(float[] x, int offset, int count) {
    int best = 0;
    for (int i = 0; i < count; i++) {
      if (Float.isNaN(x[offset + i])) {
        return i;
      }
      if (x[offset + i] > x[offset + best]) {
        best = i;
      }
    }
    return best;
  }

  @Override
  public int mask(float[] x, int offset, int count, long[] allowed, float[] out) {
    for (int i = 0; i < count; i++) {
      boolean kept = i >> 6 < allowed.length && (allowed[i >> 6] >>> i & 1) != 0;
      out[i] = kept ? Math.max(x[offset + i], -Float.MAX_VALUE) : Float.NEGATIVE_INFINITY;
    }
    return argMax(out, 0, count);
  }

  @Override
  public double sumExp(float[] x, int offset, int count, float max) {
    double total = 0;
    for (int chunk = 0; chunk < count; chunk += SUM_CHUNK) {
      float[] lanes = new float[LaneSum.LANES];
      for (int i = chunk; i < Math.min(count, chunk + SUM_CHUNK); i++) {
        lanes[(i - chunk) % LaneSum.LANES] += Exp.exp(x[offset + i] - max);
      }
      total += LaneSum.tree(lanes, 0);
    }
    return total;
  }

  @Override
  public void weigh(float[] x, int offset, int count, float max, float temperature, float[] out) {
    for (int i = 0; i < count; i++) {
      out[i] = Exp.exp((x[offset + i] - max) / temperature);
    }
  }

  @Override
  public int atLeast(float[] x, int offset, int count, float least, int[] found) {
    int size = 0;
    for (int i = 0; i < count; i++) {
      if (x[offset + i] >= least) {
        found[size++] = i;
      }
    }
    return size;
  }

  @Override
  public void forEach(int count, Task task) {
    for (int i = 0; i < count; i++) {
      task.run(i, 0);
    }
  }

  @Override
  public int workers() {
    return 1;
  }

  @Override
  public void close() {}
}
