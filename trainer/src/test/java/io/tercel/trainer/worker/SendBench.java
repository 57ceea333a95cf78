package io.tercel.trainer.worker;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.PatchWriter;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.call.Keys;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.share.ServedStudent;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

/**
 * Times what it takes to bring a worker's 3-bit model up to date by loopback: {@code SendBench DIR
 * CHANGED...}, where CHANGED is the share of codes that differ, 0 to 1. Not a test.
 */
final class SendBench {
  private SendBench() {}

  private static void change(WeightStore store, StudentWeights student, double share) {
    SplittableRandom random = new SplittableRandom(store.version());
    StoredTensors stored = store.tensors();
    try (WeightPatch patch = WeightPatch.against(store, student.history())) {
      stored.matrices().stream()
          .parallel()
          .map(name -> Objects.requireNonNull(stored.matrix(name)))
          .filter(matrix -> matrix.format() == QuantFormat.Grouped.W3G128)
          .forEach(matrix -> change(matrix, patch.writer(), random.nextLong(), share));
      System.out.printf("%,d codes changed; ", patch.codesFlipped());
      store.update(patch);
    }
  }

  private static void change(PackedMatrix matrix, PatchWriter writer, long seed, double share) {
    SplittableRandom random = new SplittableRandom(seed);
    int groups = W3Block.groups(matrix.cols());
    byte[] codes = new byte[16 * 128];
    short[] scales = new short[16];
    byte[] zeros = new byte[16];
    for (int block = 0; block < W3Block.tiles(matrix.rows()) * groups; block++) {
      long at = W3Block.blockOffset(block / groups, block % groups, groups);
      W3Block.unpack(matrix.segment(), at, codes, scales, zeros);
      for (int i = 0; i < codes.length; i++) {
        codes[i] ^= (byte) (random.nextDouble() < share ? 1 : 0);
      }
      writer.block(matrix, block / groups, block % groups, codes, scales, zeros);
    }
  }

  public static void main(String[] arguments) {
    Path model = Path.of(arguments[0]);
    ServingOptions options =
        new ServingOptions().kvCacheDtype("fp16").maxNumSeqs(8).maxModelLen(256).threads(1);
    try (ServedStudent served =
            ServedStudent.open(model, options, null, Keys.of(null, null), List.of());
        TestWorker there = new TestWorker(model, "fp16", 0);
        RolloutWorker worker =
            new RolloutWorker(
                WorkerAddress.parse(there.address()), TestWorker.KEY, Duration.ofSeconds(60))) {
      WeightStore store = served.running().running().weights();
      StudentWeights student = new StudentWeights(served);
      bring(worker, student, store);
      for (int i = 1; i < arguments.length; i++) {
        change(store, student, Double.parseDouble(arguments[i]));
        bring(worker, student, store);
      }
      there.reload();
      bring(worker, student, store);
      change(store, student, 0);
      bring(worker, student, store);
    }
  }

  private static void bring(RolloutWorker worker, StudentWeights student, WeightStore store) {
    long start = System.nanoTime();
    worker.bring(student, store.version());
    double seconds = (System.nanoTime() - start) / 1e9;
    System.out.printf(
        "version %d: %,d bytes sent, %.2f s, %s%n",
        store.version(),
        worker.figures().take().sentBytes(),
        seconds,
        worker.ready() ? "ready" : "put aside");
  }
}
