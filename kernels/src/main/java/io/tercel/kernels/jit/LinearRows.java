package io.tercel.kernels.jit;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.PreparedInput;

/**
 * Rows of a layer by all tokens of an input, in as few calls of kernels as there are registers for:
 * one worker's. Tokens go a dozen (dense: six) at a time, as evenly as they divide; there is no
 * other kernel for large batches, since these take all registers and the weights of a claim stay in
 * the second-level cache for the next dozen.
 */
final class LinearRows {
  private final LinearKernels kernels;
  private final LinearCall call;

  LinearRows(LinearKernels kernels, LinearCall call) {
    this.kernels = kernels;
    this.call = call;
  }

  /**
   * Tiles [from, to) of a layer of integer codes.
   *
   * @param out [tokens][rows]
   */
  void integers(Linear layer, PreparedInput x, float[] out, int from, int to) {
    check(layer, x, out);
    QuantFormat format = layer.weight().format();
    long tileBytes = format.bytes(W3Block.ROWS, x.cols());
    int batches = Math.ceilDiv(x.tokens(), LinearKernels.TOKENS);
    for (int tile = from; tile < to; tile += LinearCall.SLOT_TILES) {
      int tiles = Math.min(LinearCall.SLOT_TILES, to - tile);
      for (int batch = 0; batch < batches; batch++) {
        int token = first(batch, batches, x);
        int tokens = first(batch + 1, batches, x) - token;
        if (format instanceof PerRow) {
          rowInputs(x, token, tokens);
        } else {
          groupInputs(x, token, tokens);
        }
        Kernel several = kernels.integers(format, tokens, false);
        int done = tiles(several, layer, tileBytes, token, out, tile, tiles);
        Kernel single = kernels.integers(format, tokens, true);
        tiles(single, layer, tileBytes, token, out, tile + done, tiles - done);
      }
    }
    addBias(layer, x, out, from * W3Block.ROWS, to * W3Block.ROWS);
  }

  private void rowInputs(PreparedInput x, int token, int tokens) {
    long pieces = (x.groups() - 1L) * x.tokens() + tokens; // from this token's first group on
    call.set(LinearCall.GROUPS, x.groups());
    call.point(
        LinearCall.INPUTS,
        x.codes(),
        x.rowCodesOffset(token, 0),
        pieces * PreparedInput.ROW_CODE_BYTES);
    call.set(LinearCall.INPUT_STRIDE, (long) x.tokens() * PreparedInput.ROW_CODE_BYTES);
    call.point(
        LinearCall.FACTORS,
        x.meta(),
        x.rowMetaOffset(token),
        (long) tokens * PreparedInput.ROW_META_BYTES);
    call.set(LinearCall.FACTOR_STRIDE, 0);
  }

  private void groupInputs(PreparedInput x, int token, int tokens) {
    long pieces = (x.groups() - 1L) * x.tokens() + tokens; // from this token's first group on
    call.set(LinearCall.GROUPS, x.groups());
    call.point(
        LinearCall.INPUTS, x.codes(), x.codesOffset(token, 0), pieces * PreparedInput.CODE_BYTES);
    call.set(LinearCall.INPUT_STRIDE, (long) x.tokens() * PreparedInput.CODE_BYTES);
    call.point(
        LinearCall.FACTORS, x.meta(), x.metaOffset(token, 0), pieces * PreparedInput.META_BYTES);
    call.set(LinearCall.FACTOR_STRIDE, (long) x.tokens() * PreparedInput.META_BYTES);
  }

  /** As many of the tiles as the kernel's streams divide; returns how many. */
  private int tiles(
      Kernel kernel, Linear layer, long tileBytes, int token, float[] out, int tile, int tiles) {
    int steps = tiles / kernel.streams();
    if (steps == 0) {
      return 0;
    }
    long stream = steps * tileBytes;
    long offset = tile * tileBytes;
    call.point(LinearCall.WEIGHTS, layer.weight().segment(), offset, stream * kernel.streams());
    call.set(LinearCall.STREAM_STRIDE, stream);
    call.set(LinearCall.STEPS, steps);
    kernel.run(call);
    int rows = steps * W3Block.ROWS;
    results(kernel, layer, token, out, tile * W3Block.ROWS, rows, rows);
    return steps * kernel.streams();
  }

  /**
   * Tiles [from, to) of a layer of 16-bit weights, 16 rows each.
   *
   * @param floats the input, as the kernels read it
   * @param out [tokens][rows]
   */
  void dense(
      Linear layer,
      Dense format,
      DenseInput floats,
      PreparedInput x,
      float[] out,
      int from,
      int to) {
    check(layer, x, out);
    int first = from * W3Block.ROWS;
    int last = Math.min(layer.weight().rows(), to * W3Block.ROWS);
    int batches = Math.ceilDiv(x.tokens(), LinearKernels.DENSE_TOKENS);
    int streams = kernels.dense(format, 1, false).streams();
    int apart = (last - first) / streams;
    int rowBytes = x.cols() * Short.BYTES;
    int most = batches == 1 ? LinearCall.SLOT_ROWS : Math.max(1, DenseCode.AHEAD_BYTES / rowBytes);
    for (int done = 0; done < apart; done += most) {
      int steps = Math.min(most, apart - done);
      for (int batch = 0; batch < batches; batch++) {
        int token = first(batch, batches, x);
        int tokens = first(batch + 1, batches, x) - token;
        denseInputs(floats, x, token, tokens);
        // the last batch finds its rows in the cache, and has memory fetch the next ones
        boolean ahead = batches > 1 && batch == batches - 1;
        Kernel kernel =
            ahead ? kernels.denseAhead(format, tokens) : kernels.dense(format, tokens, false);
        dense(kernel, layer, token, out, first + done, steps, apart);
      }
    }
    int row = first + apart * streams;
    for (int batch = 0; batch < batches && row < last; batch++) {
      int token = first(batch, batches, x);
      int tokens = first(batch + 1, batches, x) - token;
      denseInputs(floats, x, token, tokens);
      Kernel single = kernels.dense(format, tokens, true);
      dense(single, layer, token, out, row, last - row, last - row);
    }
    addBias(layer, x, out, first, last);
  }

  private void denseInputs(DenseInput floats, PreparedInput x, int token, int tokens) {
    long stride = (long) x.cols() * Float.BYTES;
    call.point(LinearCall.INPUTS, floats.segment(), token * stride, tokens * stride);
    call.set(LinearCall.INPUT_STRIDE, stride);
    call.set(LinearCall.GROUPS, x.cols() / DenseCode.COLUMNS);
  }

  /** So many rows of each stream, whose first ones lie {@code apart} rows apart. */
  private void dense(
      Kernel kernel, Linear layer, int token, float[] out, int row, int steps, int apart) {
    PackedMatrix w = layer.weight();
    long rowBytes = (long) w.cols() * Short.BYTES;
    long read = ((kernel.streams() - 1L) * apart + steps) * rowBytes;
    call.point(LinearCall.WEIGHTS, w.segment(), row * rowBytes, read);
    call.set(LinearCall.STREAM_STRIDE, apart * rowBytes);
    call.set(LinearCall.STEPS, steps);
    kernel.run(call);
    results(kernel, layer, token, out, row, steps, apart);
  }

  /**
   * Copies what a kernel left, {@code count} rows of each stream, the last one's perhaps fewer;
   * streams lie {@code apart} rows apart.
   */
  private void results(
      Kernel kernel, Linear layer, int token, float[] out, int row, int count, int apart) {
    int rows = layer.weight().rows();
    for (int stream = 0; stream < kernel.streams(); stream++) {
      int first = row + stream * apart;
      int present = Math.min(count, rows - first);
      for (int t = 0; t < kernel.tokens(); t++) {
        call.result(stream * kernel.tokens() + t, out, (token + t) * rows + first, present);
      }
    }
  }

  private static int first(int batch, int batches, PreparedInput x) {
    return (int) ((long) batch * x.tokens() / batches);
  }

  private static void check(Linear layer, PreparedInput x, float[] out) {
    PackedMatrix w = layer.weight();
    if (x.cols() != w.cols() || out.length < (long) x.tokens() * w.rows()) {
      throw new IllegalArgumentException(
          "%s: %d x %d by %d tokens of %d into %d floats"
              .formatted(w.name(), w.rows(), w.cols(), x.tokens(), x.cols(), out.length));
    }
  }

  private static void addBias(Linear layer, PreparedInput x, float[] out, int from, int to) {
    float[] bias = layer.bias();
    if (bias == null) {
      return;
    }
    int rows = layer.weight().rows();
    int last = Math.min(to, rows);
    for (int t = 0; t < x.tokens(); t++) {
      for (int r = from; r < last; r++) {
        out[t * rows + r] += bias[r];
      }
    }
  }
}
