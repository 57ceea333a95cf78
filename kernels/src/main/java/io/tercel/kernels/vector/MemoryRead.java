package io.tercel.kernels.vector;

import io.tercel.kernels.memory.HugePages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicInteger;
import jdk.incubator.vector.IntVector;

/**
 * Reads a region once, all threads together, and does next to nothing with it: what the memory can
 * give.
 */
public final class MemoryRead implements AutoCloseable {
  private static final int CHUNK = 4 << 20;

  private final MemorySegment region;
  private final WorkerPool pool;
  private final AtomicInteger sink = new AtomicInteger();

  /**
   * @param bytes a multiple of 4 MiB; larger than any cache, or caches are measured
   */
  public MemoryRead(Arena arena, long bytes, int threads) {
    region = HugePages.allocate(arena, bytes);
    region.fill((byte) 1);
    pool = new WorkerPool(threads);
  }

  /** One pass over the region. */
  public void pass() {
    pool.run((int) (region.byteSize() / CHUNK), 1, (from, to, worker) -> read(from, to));
  }

  private void read(int from, int to) {
    int step = Lanes.COUNT * Integer.BYTES;
    IntVector a = IntVector.zero(Lanes.INT);
    IntVector b = a;
    IntVector c = a;
    IntVector d = a;
    for (long at = (long) from * CHUNK; at < (long) to * CHUNK; at += 4L * step) {
      a = a.or(load(at));
      b = b.or(load(at + step));
      c = c.or(load(at + 2L * step));
      d = d.or(load(at + 3L * step));
    }
    sink.addAndGet(a.or(b).or(c.or(d)).lane(0));
  }

  private IntVector load(long at) {
    return IntVector.fromMemorySegment(Lanes.INT, region, at, ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public void close() {
    pool.close();
  }
}
