package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.kernels.format.QuantFormat.Dense;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Its results are OpsContract's matter. */
class DenseCodeTest {

  /** The counts of DenseCode's description, and what stands around them. */
  @ParameterizedTest
  @CsvSource({
    "BF16,4,1,false",
    "BF16,4,6,false",
    "BF16,4,6,true",
    "BF16,1,3,false",
    "FP16,4,1,false",
    "FP16,4,6,true"
  })
  void instructions_areAsManyAsTheLoopNeeds(Dense format, int streams, int tokens, boolean ahead) {
    int widen = format == Dense.BF16 ? 2 : 6;
    int sums = streams * tokens;
    int block =
        (ahead ? streams : 0) + streams * widen + 2 * (tokens + sums) + streams + tokens + 2;
    int step = sums + 1 + 2 * (tokens - 1) + 1 + block + 9 * sums + 1 + 2;
    int mask = format == Dense.BF16 ? 2 : 0;
    int function = 2 * (tokens - 1) + mask + 1 + 2 * (streams - 1) + 2 + step + 2;
    assertEquals(function, DenseCode.assemble(format, streams, tokens, ahead).count());
  }
}
