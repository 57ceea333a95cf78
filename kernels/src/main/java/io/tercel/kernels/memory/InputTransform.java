package io.tercel.kernels.memory;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What happens to an input before it is rounded to 4 bits: a product with a Kronecker product of
 * two matrices, which spreads outliers over all columns, and a clip of its range (FlatQuant,
 * QuaRot). A row of cols = m n floats is read as a matrix [m, n], row-major:
 *
 * <pre>
 * t[i'][j]  = sum over i of x[i][j] left[i][i'],     i ascending, one chain of fma from 0
 * y[i'][j'] = sum over j of t[i'][j] right[j][j'],   j ascending, likewise
 * </pre>
 *
 * Where left or right is missing, it is the identity and nothing is computed. The linears' weights
 * are stored after the inverse of this, so that the product is what it was.
 *
 * <p>Linears that share one instance share a prepared input.
 */
public final class InputTransform {
  /** Neither a product nor a clip: plain rounding. */
  public static final InputTransform NONE = new InputTransform(null, null, 1f, 1f);

  private final float @Nullable [] left;
  private final float @Nullable [] right;
  private final int leftSize;
  private final int rightSize;
  private final float[] clip;

  /**
   * @param left [m][m], or null
   * @param right [n][n], or null
   * @param lowClip what the least value of a row, if below 0, is multiplied by: 0 to 1
   * @param highClip what the greatest, if above 0, is multiplied by
   */
  public InputTransform(
      float @Nullable [] left, float @Nullable [] right, float lowClip, float highClip) {
    this.left = left;
    this.right = right;
    this.leftSize = side(left);
    this.rightSize = side(right);
    this.clip = new float[] {lowClip, highClip};
  }

  private static int side(float @Nullable [] square) {
    if (square == null) {
      return 0;
    }
    int side = (int) Math.round(Math.sqrt(square.length));
    if (side * side != square.length || side == 0) {
      throw new IllegalArgumentException(square.length + " floats are no square matrix");
    }
    return side;
  }

  /**
   * The same for rows of a width.
   *
   * @throws IllegalArgumentException if the matrices are not of its factors
   */
  public InputTransform requireWidth(int cols) {
    boolean fits =
        left == null
            ? right == null || cols % rightSize == 0
            : right == null ? cols % leftSize == 0 : leftSize * (long) rightSize == cols;
    if (!fits) {
      throw new IllegalArgumentException(
          "a transform of %d x %d for rows of %d".formatted(leftSize, rightSize, cols));
    }
    return this;
  }

  /** Rows of {@link #left}: of the matrix that a row of {@code cols} floats is. */
  public int rows(int cols) {
    return left != null ? leftSize : right != null ? cols / rightSize : 1;
  }

  /** [m][m], or null. */
  public float @Nullable [] left() {
    return left;
  }

  /** [n][n], or null. */
  public float @Nullable [] right() {
    return right;
  }

  /** Whether rows stay as they are. */
  public boolean identity() {
    return left == null && right == null;
  }

  /** What the least value, if below 0, is multiplied by before the scale is found. */
  public float lowClip() {
    return clip[0];
  }

  /** What the greatest value, if above 0, is multiplied by. */
  public float highClip() {
    return clip[1];
  }

  /** Both clips, the low one first: the array itself, which changes when weights are replaced. */
  public float[] clip() {
    return clip;
  }

  /** All that it is made of, to be written by whoever owns the weights; empty where it has none. */
  List<float[]> floats() {
    return List.of(left == null ? new float[0] : left, right == null ? new float[0] : right, clip);
  }
}
