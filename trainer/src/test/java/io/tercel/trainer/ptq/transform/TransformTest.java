package io.tercel.trainer.ptq.transform;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The matrices that change coordinates, each against its definition. */
class TransformTest {
  private final Random random = new Random(3);

  private double[] gaussian(int count) {
    return random.doubles(count).map(_ -> random.nextGaussian()).toArray();
  }

  private SquareMatrix general(int size) {
    return new SquareMatrix(size, gaussian(size * size));
  }

  @ParameterizedTest
  @CsvSource({
    "1024,32,32", "1536,32,48", "2560,40,64", "3072,48,64", "8960,80,112", "9728,76,128",
    "128,8,16", "256,16,16", "160,10,16", "14,2,7", "7,1,7", "1,1,1"
  })
  void sizes_areThePapers(int n, int left, int right) {
    assertEquals(new KroneckerSizes(left, right), KroneckerSizes.nearest(n));
    // the definition: least a >= sqrt(n) with a^2 - n = b^2
    for (int a = (int) Math.ceil(Math.sqrt(n)); a <= n; a++) {
      int b = (int) Math.round(Math.sqrt(a * a - n));
      if (b * b == a * a - n) {
        assertEquals(new KroneckerSizes(a - b, a + b), KroneckerSizes.nearest(n));
        return;
      }
    }
    assertEquals(2, n % 4);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 12, 16, 20, 24, 28, 32, 36, 40, 48, 64, 76, 80, 112, 128, 140, 152})
  void hadamard_rowsAreOrthogonal(int order) {
    assertTrue(Hadamard.exists(order));
    int[][] h = Hadamard.signs(order);
    for (int i = 0; i < order; i++) {
      for (int j = 0; j < order; j++) {
        int dot = 0;
        for (int k = 0; k < order; k++) {
          assertEquals(1, Math.abs(h[i][k]));
          dot += h[i][k] * h[j][k];
        }
        assertEquals(i == j ? order : 0, dot);
      }
    }
  }

  @Test
  void hadamard_ordersThatAreMissing() {
    StringBuilder missing = new StringBuilder();
    for (int n = 4; n < 200; n += 4) {
      missing.append(Hadamard.exists(n) ? "" : n + " ");
    }
    assertEquals("52 92 100 116 156 172 184 188 ", missing.toString());
    assertFalse(Hadamard.exists(0));
    assertFalse(Hadamard.exists(14));
    assertThrows(IllegalArgumentException.class, () -> Hadamard.signs(92));
  }

  @ParameterizedTest
  @CsvSource({"1024,32,32", "1536,32,48", "8960,80,112", "9728,76,128", "160,8,20", "896,28,32"})
  void hadamardSizes_areBothOrders(int width, int left, int right) {
    assertEquals(new KroneckerSizes(left, right), Hadamard.sizes(width));
  }

  @Test
  void spread_withoutHadamards_isOrthogonalStill() {
    for (int width : new int[] {14, 160, 52}) {
      Kronecker k = Hadamard.spread(width, random);
      double[] x = gaussian(width);
      double[] y = x.clone();
      k.applyRows(y);
      k.transpose().applyRows(y);
      assertArrayEquals(x, y, 1e-13);
    }
  }

  @Test
  void inverse_timesTheMatrix_isTheIdentity() {
    for (int size : new int[] {1, 2, 17, 76}) {
      SquareMatrix m = general(size);
      assertArrayEquals(SquareMatrix.identity(size).values(), m.times(m.inverse()).values(), 1e-10);
    }
    // a zero on the diagonal needs another pivot
    SquareMatrix swap = new SquareMatrix(2, new double[] {0, 1, 1, 0});
    assertArrayEquals(swap.values(), swap.inverse().values());
    SquareMatrix singular = new SquareMatrix(2, new double[] {1, 2, 2, 4});
    assertThrows(IllegalArgumentException.class, singular::inverse);
  }

  @Test
  void orthogonal_isOrthonormal() {
    SquareMatrix q = SquareMatrix.orthogonal(48, random);
    assertArrayEquals(SquareMatrix.identity(48).values(), q.times(q.transpose()).values(), 1e-14);
  }

  private static double[] dense(double[] x, Kronecker k) {
    KroneckerSizes sizes = k.sizes();
    SquareMatrix left = k.left() == null ? SquareMatrix.identity(sizes.left()) : k.left();
    SquareMatrix right = k.right() == null ? SquareMatrix.identity(sizes.right()) : k.right();
    double[] y = new double[x.length];
    for (int from = 0; from < x.length; from++) {
      for (int to = 0; to < x.length; to++) {
        y[to] +=
            x[from]
                * left.at(from / sizes.right(), to / sizes.right())
                * right.at(from % sizes.right(), to % sizes.right());
      }
    }
    return y;
  }

  @Test
  void kronecker_isTheDenseProduct() {
    for (Kronecker k :
        new Kronecker[] {
          Kronecker.of(general(5), general(7)),
          Kronecker.left(general(5), 7),
          Kronecker.right(5, general(7)),
        }) {
      double[] x = gaussian(35);
      double[] y = x.clone();
      k.applyRows(y);
      assertArrayEquals(dense(x, k), y, 1e-12);
    }
  }

  @Test
  void changesOnBothSides_leaveWhatALinearComputes() {
    Ops ops = new ScalarOps();
    int rows = 12;
    int cols = 35;
    double[] weight = gaussian(rows * cols);
    double[] bias = gaussian(rows);
    double[] x = gaussian(cols);
    double[] c = gaussian(cols);
    double[] d = gaussian(rows);
    Kronecker in = Kronecker.of(general(5), general(7));
    Kronecker out = Kronecker.of(general(3), general(4));
    double[] expected = new DoubleLinear(rows, cols, weight.clone(), bias.clone()).apply(x);
    for (int i = 0; i < rows; i++) {
      expected[i] *= d[i];
    }
    out.applyRows(expected);

    DoubleLinear changed = new DoubleLinear(rows, cols, weight, bias);
    changed.scaleInputs(c);
    changed.transformInputs(in, ops);
    changed.scaleOutputs(d);
    changed.transformOutputs(out, ops);
    double[] z = x.clone();
    for (int j = 0; j < cols; j++) {
      z[j] /= c[j];
    }
    in.applyRows(z);
    assertArrayEquals(expected, changed.apply(z), 1e-9);
  }
}
