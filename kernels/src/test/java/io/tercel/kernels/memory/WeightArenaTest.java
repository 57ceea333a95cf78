package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class WeightArenaTest {
  /** Many matrices of 1 MB: alone, each would lie on small pages. */
  @Test
  void smallMatrices_shareLargePages_andOverlapNowhere() {
    try (Arena arena = Arena.ofConfined()) {
      WeightArena memory = new WeightArena(arena);
      List<PackedMatrix> matrices = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        matrices.add(memory.allocate("m" + i, 500 + i, 1021, Dense.BF16, null));
      }
      int neighbours = 0;
      for (int i = 0; i < matrices.size(); i++) {
        PackedMatrix m = matrices.get(i);
        assertEquals(0, m.segment().address() % 64);
        assertEquals(Dense.BF16.bytes(500 + i, 1021), m.segment().byteSize());
        if (i > 0) {
          PackedMatrix before = matrices.get(i - 1);
          long gap =
              m.segment().address() - before.segment().address() - before.segment().byteSize();
          neighbours += gap >= 0 && gap < 64 ? 1 : 0;
        }
        for (PackedMatrix other : matrices) {
          assertTrue(other == m || m.segment().asOverlappingSlice(other.segment()).isEmpty());
        }
      }
      assertTrue(neighbours >= 16, neighbours + " of 19");
    }
  }

  @Test
  void aLargeMatrix_hasPagesOfItsOwn() {
    try (Arena arena = Arena.ofConfined()) {
      WeightArena memory = new WeightArena(arena);
      memory.allocate("small", 3, 5, Dense.FP32, null);
      PackedMatrix large = memory.allocate("large", 2048, 1024, Dense.BF16, null);
      assertEquals(0, large.segment().address() % HugePages.PAGE);
    }
  }
}
