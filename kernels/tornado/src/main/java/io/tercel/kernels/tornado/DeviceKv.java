package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import java.lang.foreign.MemorySegment;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Keys and values of one layer on the device, laid out as {@link KvLayout} says: floats of fp32,
 * ints of all else.
 */
sealed interface DeviceKv {
  /** fp32. */
  record Floats(FloatArray array) implements DeviceKv {}

  /** fp16 and int4. */
  record Ints(IntArray array) implements DeviceKv {}

  TornadoNativeArray array();

  default MemorySegment segment() {
    return array().getSegment();
  }

  /** Zeros. */
  static DeviceKv of(KvLayout layout, int numBlocks) {
    int words = words(layout, numBlocks);
    if (layout.type() == KvType.FP32) {
      FloatArray array = new FloatArray(words);
      array.init(0f);
      return new Floats(array);
    }
    IntArray array = new IntArray(words);
    array.init(0);
    return new Ints(array);
  }

  /**
   * @throws IllegalArgumentException if one array can't hold them
   */
  private static int words(KvLayout layout, int numBlocks) {
    long words = numBlocks * layout.layerBlockBytes() / Integer.BYTES;
    if (words > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "%d KV blocks are more than one device array can hold; at most %d"
              .formatted(numBlocks, (Integer.MAX_VALUE - 8L) * 4 / layout.layerBlockBytes()));
    }
    return (int) words;
  }
}
