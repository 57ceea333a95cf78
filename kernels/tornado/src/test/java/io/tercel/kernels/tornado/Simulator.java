package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Phaser;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Runs a kernel in plain Java, without an SDK: a thread for each work item of a group, group after
 * group. Barriers hold all items of a group; local arrays are shared by them. What it can't show is
 * what the device's compiler makes of the code, and that products are rounded before they are
 * added.
 */
final class Simulator {
  private final int local;
  private final Phaser barrier;
  private final List<Object> arrays = new ArrayList<>();
  private final MatrixUnit unit;

  private Simulator(int local) {
    this.local = local;
    this.barrier = new Phaser(local);
    this.unit = new MatrixUnit(local);
  }

  /**
   * Runs groupsX x groupsY work groups of {@code local} items.
   *
   * @throws AssertionError with the first failure of an item
   */
  static void run(int groupsX, int groupsY, int local, Consumer<KernelContext> kernel) {
    for (int y = 0; y < groupsY; y++) {
      for (int x = 0; x < groupsX; x++) {
        new Simulator(local).group(x, y, kernel);
      }
    }
  }

  private void group(int x, int y, Consumer<KernelContext> kernel) {
    AtomicReference<Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int l = 0; l < local; l++) {
      Item item = new Item(x, y, l);
      threads.add(
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      kernel.accept(item);
                    } catch (Throwable t) {
                      failure.compareAndSet(null, t);
                    } finally {
                      barrier.arriveAndDeregister(); // nobody waits for who is gone
                    }
                  }));
    }
    try {
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    if (failure.get() != null) {
      throw new AssertionError("group " + x + ", " + y, failure.get());
    }
  }

  private synchronized Object shared(int number, Supplier<Object> make) {
    if (number == arrays.size()) {
      arrays.add(make.get());
    }
    return arrays.get(number);
  }

  /** One work item's view. */
  private final class Item extends KernelContext {
    private int allocated;

    Item(int x, int y, int l) {
      set("groupIdx", x);
      set("groupIdy", y);
      set("localIdx", l);
      set("globalIdx", x * local + l);
      set("globalIdy", y);
      set("localGroupSizeX", local);
    }

    private void set(String field, int value) {
      try {
        Field f = KernelContext.class.getField(field);
        f.setAccessible(true);
        f.set(this, value);
      } catch (ReflectiveOperationException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public void localBarrier() {
      barrier.arriveAndAwaitAdvance();
    }

    @Override
    public float[] allocateFloatLocalArray(int size) {
      return (float[]) shared(allocated++, () -> new float[size]);
    }

    @Override
    public int[] allocateIntLocalArray(int size) {
      return (int[]) shared(allocated++, () -> new int[size]);
    }

    @Override
    public double[] allocateDoubleLocalArray(int size) {
      return (double[]) shared(allocated++, () -> new double[size]);
    }

    @Override
    public int[] mmaFragmentInt(int value) {
      return new int[] {value, value, value, value};
    }

    /** As {@code ldmatrix.x4}: this lane's 16 bytes of a 16 x 32 tile. */
    @Override
    public byte[] mmaLoadAInt8(int[] tile, int columns) {
      return MatrixUnit.loadA(tile, lane());
    }

    /** As {@code ldmatrix.x2.trans}: this lane's 8 bytes of a 32 x 8 tile. */
    @Override
    public byte[] mmaLoadBInt8(int[] tile, int columns) {
      return MatrixUnit.loadB(tile, lane());
    }

    @Override
    public int[] mmaInt8(byte[] a, byte[] b, int[] c, MMAShape shape) {
      assertEquals(MMAShape.M16N8K32, shape);
      unit.bring(localIdx, a, b);
      barrier.arriveAndAwaitAdvance();
      int[] d = unit.multiply(localIdx, c);
      barrier.arriveAndAwaitAdvance();
      return d;
    }

    @Override
    public void mmaStoreInt(int[] d, IntArray out, int row, int column, int stride) {
      MatrixUnit.store(d, lane(), out, row, column, stride);
    }

    private int lane() {
      return localIdx % 32;
    }

    @Override
    public void atomicAdd(IntArray array, int index, int value) {
      synchronized (array) {
        array.set(index, array.get(index) + value);
      }
    }
  }
}
