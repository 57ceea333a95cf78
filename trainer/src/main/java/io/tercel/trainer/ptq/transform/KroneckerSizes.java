package io.tercel.trainer.ptq.transform;

/**
 * How a width is cut into the two factors of a Kronecker product.
 *
 * @param left size of the left factor
 * @param right size of the right factor
 */
public record KroneckerSizes(int left, int right) {
  public KroneckerSizes {
    if (left < 1 || right < 1) {
      throw new IllegalArgumentException(left + " x " + right);
    }
  }

  /** The width. */
  public int product() {
    return Math.multiplyExact(left, right);
  }

  /**
   * FlatQuant's choice: (a - b, a + b) for the least a, at least sqrt(n), where a^2 - n is a square
   * b^2. That is the nearest pair of factors that are both even or both odd; where there is none (n
   * = 2 modulo 4), the nearest pair at all.
   */
  public static KroneckerSizes nearest(int n) {
    KroneckerSizes any = null;
    for (int left = (int) Math.sqrt(n); left >= 1; left--) {
      if (n % left == 0) {
        KroneckerSizes pair = new KroneckerSizes(left, n / left);
        if ((pair.left + pair.right) % 2 == 0) {
          return pair;
        }
        any = any == null ? pair : any;
      }
    }
    if (any == null) {
      throw new IllegalArgumentException("a width of " + n);
    }
    return any;
  }
}
