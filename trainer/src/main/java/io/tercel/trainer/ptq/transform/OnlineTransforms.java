package io.tercel.trainer.ptq.transform;

import org.jspecify.annotations.Nullable;

/**
 * What happens to a layer's activations while it runs, before they are rounded: each linear's input
 * x becomes x K, then is clipped; keys and queries are transformed after RoPE. What is absent does
 * not happen. Factors are values of floats, except that queries have the exact inverse of the keys.
 *
 * @param qkv of q, k and v
 * @param o of o: over heads, and within each if the right factor is there
 * @param gateUp of gate and up
 * @param down of down
 * @param keys [D, D]: k' = k P
 * @param queries [D, D]: q' = q P^-T
 * @param clips shares of the ranges that are kept
 */
public record OnlineTransforms(
    @Nullable Kronecker qkv,
    @Nullable Kronecker o,
    @Nullable Kronecker gateUp,
    @Nullable Kronecker down,
    @Nullable SquareMatrix keys,
    @Nullable SquareMatrix queries,
    Clips clips) {

  /**
   * Shares of the ranges that are kept, [low, high] each in (0, 1]; null keeps all.
   *
   * @param k of keys
   * @param v of values
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  public record Clips(
      float @Nullable [] qkv,
      float @Nullable [] o,
      float @Nullable [] gateUp,
      float @Nullable [] down,
      float @Nullable [] k,
      float @Nullable [] v) {
    /** Everything is kept. */
    public static final Clips NONE = new Clips(null, null, null, null, null, null);

    /** The same for all linears, and the same for keys and values. */
    public static Clips same(float linears, float kv) {
      float[] x = {linears, linears};
      float[] c = {kv, kv};
      return new Clips(x, x, x, x, c, c);
    }
  }

  /** Nothing happens. */
  public static final OnlineTransforms NONE =
      new OnlineTransforms(null, null, null, null, null, null, Clips.NONE);
}
