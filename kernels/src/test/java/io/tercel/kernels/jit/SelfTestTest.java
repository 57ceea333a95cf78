package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SelfTestTest {

  @Test
  void theDefinition_passes() {
    SelfTest.check(new ScalarOps());
  }

  /** One bit of one row, wrong only where that format and that many tokens are computed. */
  @ParameterizedTest
  @CsvSource({
    "w3g128,1",
    "w3g128,7",
    "w3g128,12",
    "int8g128,1",
    "int8g128,9",
    "bf16,4",
    "bf16,6",
    "fp16,1",
    "fp16,5"
  })
  void oneWrongBit_isFound(String format, int tokens) {
    ScalarOps definition = new ScalarOps();
    Ops wrong =
        (Ops)
            Proxy.newProxyInstance(
                Ops.class.getClassLoader(),
                new Class<?>[] {Ops.class},
                (proxy, method, args) -> {
                  try {
                    Object result = method.invoke(definition, args);
                    if (method.getName().equals("linear")) {
                      Projection projection = (Projection) args[0];
                      int n = ((PreparedInput) args[1]).tokens();
                      String label = projection.linears().getFirst().weight().format().label();
                      float[] y = ((float[][]) args[2])[0];
                      if (n == tokens && label.equals(format)) {
                        y[y.length - 1] = Math.nextUp(y[y.length - 1]);
                      }
                    }
                    return result;
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
    String line =
        String.valueOf(
            assertThrows(BackendUnavailableException.class, () -> SelfTest.check(wrong))
                .getMessage());
    assertTrue(line.contains(format + " by " + tokens + " tokens"), line);
    assertEquals(1, line.lines().count());
  }
}
