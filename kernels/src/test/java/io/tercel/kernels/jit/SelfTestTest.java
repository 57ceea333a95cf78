package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SelfTestTest {

  @Test
  void theDefinition_passes() {
    SelfTest.check(new ScalarOps());
    AttentionSelfTest.check(new ScalarOps());
  }

  /** One bit of one head's output, wrong only for that cache and that many queries. */
  @ParameterizedTest
  @CsvSource({"int4,1", "int4,6", "fp16,2", "fp16,5", "fp32,4"})
  void oneWrongBitOfAttention_isFound(String type, int queries) {
    Ops wrong =
        changed(
            "attention",
            args -> {
              KvPool kv = (KvPool) args[0];
              int heads = (int) args[4];
              return kv.layout().type().label().equals(type)
                      && heads == queries * kv.layout().numKvHeads()
                  ? (float[]) args[5]
                  : null;
            });
    String line =
        String.valueOf(
            assertThrows(BackendUnavailableException.class, () -> AttentionSelfTest.check(wrong))
                .getMessage());
    assertTrue(line.contains("attention over %s by %d queries".formatted(type, queries)), line);
    assertEquals(1, line.lines().count());
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
    Ops wrong =
        changed(
            "linear",
            args -> {
              Projection projection = (Projection) args[0];
              String label = projection.linears().getFirst().weight().format().label();
              return ((PreparedInput) args[1]).tokens() == tokens && label.equals(format)
                  ? ((float[][]) args[2])[0]
                  : null;
            });
    String line =
        String.valueOf(
            assertThrows(BackendUnavailableException.class, () -> SelfTest.check(wrong))
                .getMessage());
    assertTrue(line.contains(format + " by " + tokens + " tokens"), line);
    assertEquals(1, line.lines().count());
  }

  /**
   * The definition but for one bit: of the last float of what is chosen from an operation's
   * arguments after it ran.
   */
  private static Ops changed(String operation, Function<Object[], float @Nullable []> choice) {
    ScalarOps definition = new ScalarOps();
    return (Ops)
        Proxy.newProxyInstance(
            Ops.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (proxy, method, args) -> {
              try {
                Object result = method.invoke(definition, args);
                float[] y = method.getName().equals(operation) ? choice.apply(args) : null;
                if (y != null) {
                  y[y.length - 1] = Math.nextUp(y[y.length - 1]);
                }
                return result;
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
