package io.tercel.trainer.share;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.server.model.RunningEngine;
import io.tercel.server.model.ServingOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Times publications of a 3-bit model: {@code PublishBench DIR CHANGED... [COUNT]}, where CHANGED
 * is the share of codes that each one changes, 0 to 1. Not a test.
 */
final class PublishBench {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final int WARM = 4;

  private PublishBench() {}

  /** Latents that round to the codes of the model, a part of which is turned over. */
  private static final class Turned implements WeightRounding {
    private final MemorySegment latents;
    private final int rows;
    private final int cols;
    private final int groups;
    private final float[] scales;
    private final byte[] zeros;
    double changed;
    int round;

    Turned(PackedMatrix matrix, Arena arena) {
      rows = matrix.rows();
      cols = matrix.cols();
      groups = W3Block.groups(cols);
      latents = arena.allocate(4L * rows * cols, 64);
      scales = new float[rows * groups];
      zeros = new byte[rows * groups];
      IntStream.range(0, W3Block.tiles(rows)).parallel().forEach(tile -> read(matrix, tile));
    }

    private void read(PackedMatrix matrix, int tile) {
      byte[] codes = new byte[16 * 128];
      short[] halves = new short[16];
      byte[] z = new byte[16];
      for (int group = 0; group < groups; group++) {
        long at = W3Block.blockOffset(tile, group, groups);
        W3Block.unpack(matrix.segment(), at, codes, halves, z);
        for (int r = 0; r < 16; r++) {
          int row = 16 * tile + r;
          float scale = Float.float16ToFloat(halves[r]);
          scales[row * groups + group] = scale;
          zeros[row * groups + group] = z[r];
          for (int k = 0; k < Math.min(128, cols - 128 * group); k++) {
            float latent = scale * (codes[128 * r + k] - z[r]);
            latents.setAtIndex(FLOAT, (long) row * cols + 128 * group + k, latent);
          }
        }
      }
    }

    @Override
    public int rows() {
      return rows;
    }

    @Override
    public int cols() {
      return cols;
    }

    @Override
    public int group() {
      return 128;
    }

    @Override
    public float scale(int row, int group) {
      return scales[row * groups + group];
    }

    @Override
    public int zero(int row, int group) {
      return zeros[row * groups + group];
    }

    @Override
    public void codes(MemorySegment values, int row, byte[] to) {
      for (int g = 0; g < groups; g++) {
        float scale = scales[row * groups + g];
        float zero = zeros[row * groups + g];
        long first = (long) row * cols;
        int end = Math.min(cols, 128 * (g + 1));
        for (int k = 128 * g; k < end; k++) {
          float code = (float) Math.rint(values.getAtIndex(FLOAT, first + k) / scale) + zero;
          to[k] = (byte) Math.min(Math.max(code, 0), 7);
        }
      }
      if (changed == 1) {
        int turn = 1 + round % 7;
        for (int k = 0; k < cols; k++) {
          to[k] ^= (byte) turn;
        }
      } else if (changed > 0) {
        // those of the last round turn back, so half of them
        SplittableRandom random = new SplittableRandom(31L * round + row);
        double turns = changed / 2 * cols;
        int count = (int) turns + (random.nextDouble() < turns - (int) turns ? 1 : 0);
        for (int i = 0; i < count; i++) {
          to[random.nextInt(cols)] ^= (byte) (1 + random.nextInt(7));
        }
      }
    }
  }

  /** See the class. */
  public static void main(String[] args) {
    ServingOptions options = new ServingOptions().maxModelLen(1024).packedCache("auto");
    try (Arena arena = Arena.ofShared();
        Checkpoint checkpoint = Checkpoint.open(Path.of(args[0]));
        RunningEngine running =
            RunningEngine.open(checkpoint, options, Set.of(), LoadProgress.SILENT)) {
      StoredTensors stored = running.weights().tensors();
      List<TrainedTensor> tensors = new ArrayList<>();
      List<Turned> all = new ArrayList<>();
      for (String name : stored.matrices()) {
        PackedMatrix matrix = Objects.requireNonNull(stored.matrix(name));
        if (matrix.format() == QuantFormat.Grouped.W3G128) {
          Turned rounding = new Turned(matrix, arena);
          all.add(rounding);
          tensors.add(new TrainedTensor.Linear(name, rounding.latents, rounding));
        }
      }
      int count = Integer.getInteger("publications", 30);
      WeightSharing sharing = new WeightSharing(running, tensors);
      for (int i = 1; i < args.length; i++) {
        time(sharing, all, Double.parseDouble(args[i]), count);
      }
    }
  }

  private static void time(WeightSharing sharing, List<Turned> all, double changed, int count) {
    List<Publication> publications = new ArrayList<>();
    all.forEach(r -> r.changed = changed);
    for (int i = 0; i < WARM + count; i++) {
      all.forEach(r -> r.round++);
      Publication publication = sharing.publish();
      if (i >= WARM) {
        publications.add(publication);
      }
    }
    long codes = all.stream().mapToLong(r -> (long) r.rows * r.cols).sum();
    Publication last = publications.getLast();
    System.out.printf(
        "%.4f %% of %d M codes changed, %.1f MB copied: packing %.0f ms (p99 %.0f), pause %.2f ms (p99 %.2f)%n",
        100.0 * last.codesFlipped() / codes,
        codes / 1_000_000,
        last.bytesCopied() / 1e6,
        percentile(publications.stream().map(Publication::packNanos).toList(), 50),
        percentile(publications.stream().map(Publication::packNanos).toList(), 99),
        percentile(publications.stream().map(Publication::pauseNanos).toList(), 50),
        percentile(publications.stream().map(Publication::pauseNanos).toList(), 99));
  }

  private static double percentile(List<Long> nanos, int percent) {
    List<Long> sorted = nanos.stream().sorted().toList();
    int rank = (int) Math.ceil(percent / 100.0 * sorted.size()) - 1;
    return sorted.get(Math.max(0, rank)) / 1e6;
  }
}
