package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.tornado.DeviceLab.Piece;
import io.tercel.kernels.tornado.DeviceLab.Sequence;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Graphs whose grids never change, as captured ones need them, give the bits of all others for
 * every number of rows: those they are made for, fewer, and more than any is made for.
 */
class BucketTest {
  @TempDir Path temp;

  @Test
  @Tag("device")
  void rows_ofEveryNumber_equalTheCpus() {
    TinyCheckpoint tiny = TinyCheckpoint.qwen3().vocab(97).layers(2).hidden(96).heads(3, 1, 64);
    try (WeightStore weights = DeviceLab.load(tiny.ffn(160).gptq(GptqVariant.SYM).write(temp));
        DeviceLab lab = new DeviceLab(weights, KvType.INT4);
        TornadoBackend fixed =
            new TornadoBackend(
                weights,
                KvLayout.of(weights.config(), KvType.INT4),
                DeviceLab.BLOCKS,
                TornadoBackends.device(0),
                List.of(1, 2, 8))) {
      List<Sequence> sequences = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        Sequence sequence = Sequence.random(i, lab.vocab, 270 - 20 * i, 13 * i, 1);
        DeviceLab.alone(lab.vector, sequence, 512);
        DeviceLab.alone(fixed, sequence, 512);
        sequences.add(sequence);
      }
      for (int rows : new int[] {1, 2, 3, 8, 9, 12, 1}) {
        List<Piece> pieces = new ArrayList<>();
        for (Sequence sequence : sequences.subList(0, rows)) {
          int length = sequence.tokens().size();
          pieces.add(new Piece(sequence, length - 1, length));
        }
        List<TokenResult> expected = DeviceLab.score(lab.vector, pieces);
        assertEquals(rows, expected.size());
        assertEquals(expected, DeviceLab.score(fixed, pieces), rows + " rows");
      }
    }
  }

  @Test
  void numbers_areRead() {
    assertEquals(List.of(1, 8, 64), TornadoBackends.buckets("1, 8,64"));
    assertEquals(List.of(), TornadoBackends.buckets("none"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0,1", "2,2", "8,4", "1,65", "true", "1,,2"})
  void whatIsNoNumbers_isRefusedByName(String text) {
    BackendUnavailableException e =
        assertThrows(BackendUnavailableException.class, () -> TornadoBackends.buckets(text));
    String said = String.valueOf(e.getMessage());
    assertTrue(said.startsWith("-Dtercel.tornado.cudaGraphs=" + text + ":"), said);
  }
}
