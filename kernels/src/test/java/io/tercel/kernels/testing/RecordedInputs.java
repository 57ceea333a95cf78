package io.tercel.kernels.testing;

import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;

/**
 * The inputs of quantized linears as an engine prepared them, for a reference that computes on
 * them: so each layer is compared by itself, whatever a code that fell to the other side of a tie
 * does to those that follow.
 */
public final class RecordedInputs implements DoubleReference.Inputs {
  /** One token's input of one linear. */
  private static final class Row {
    final double[] values;
    final double[] steps;

    Row(int cols) {
      values = new double[cols];
      steps = new double[cols];
    }
  }

  private final Map<String, Queue<Row>> rows = new HashMap<>();
  private double furthest;

  /** Operations that do what others do, and note the inputs. */
  public Ops recording(Ops ops) {
    return (Ops)
        Proxy.newProxyInstance(
            Ops.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (_, method, arguments) -> {
              if (method.getName().equals("linear")) {
                record((Projection) arguments[0], (PreparedInput) arguments[1]);
              }
              try {
                return method.invoke(ops, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private void record(Projection projection, PreparedInput input) {
    if (!(projection.input() instanceof InputSpec.Int16PerGroup spec)) {
      return;
    }
    int[] order = spec.inputOrder();
    for (int t = 0; t < input.tokens(); t++) {
      Row row = new Row(input.cols());
      for (int j = 0; j < input.cols(); j++) {
        int i = order == null ? j : order[j];
        row.steps[i] = input.scale(t, j / GroupedInts.GROUP);
        row.values[i] = row.steps[i] * input.code(t, j);
      }
      for (Linear linear : projection.linears()) {
        rows.computeIfAbsent(linear.weight().name(), _ -> new ArrayDeque<>()).add(row);
      }
    }
  }

  @Override
  public double[] seen(String name, double[] x, int[] groups) {
    Row row = rows.get(name).remove();
    for (int i = 0; i < x.length; i++) {
      if (row.steps[i] != 0) {
        furthest = Math.max(furthest, Math.abs(x[i] - row.values[i]) / row.steps[i]);
      }
    }
    return row.values;
  }

  /** How far, in steps of its code, a recorded input lay from the reference's own; 0.5 is ideal. */
  public double furthest() {
    return furthest;
  }
}
