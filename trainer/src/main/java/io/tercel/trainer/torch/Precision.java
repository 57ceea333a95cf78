package io.tercel.trainer.torch;

/**
 * What a forward pass rounds besides weights, as the engine does it.
 *
 * @param inputs bits of what quantized linears read: 32 for no rounding, 16 a scale per token and
 *     group (W3G128), 4 a scale and zero point per token (W4A4)
 * @param cache bits of keys and values: 32, 16 or 4
 */
public record Precision(int inputs, int cache) {
  /** Nothing is rounded. */
  public static final Precision FULL = new Precision(32, 32);

  public Precision {
    if (inputs != 32 && inputs != 16 && inputs != 4 || cache != 32 && cache != 16 && cache != 4) {
      throw new IllegalArgumentException(inputs + " and " + cache + " bits");
    }
  }
}
