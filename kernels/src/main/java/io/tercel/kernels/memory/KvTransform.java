package io.tercel.kernels.memory;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What happens to the heads of a layer's queries, keys and values before keys and values are
 * rounded to the cache's 4 bits. Keys, after their rotary embedding, are multiplied by a matrix
 * that spreads their outlier channels, queries by its inverse transposed, so that scores are what
 * they were.
 */
public final class KvTransform {
  /** Nothing. */
  public static final KvTransform NONE =
      new KvTransform(null, null, new float[] {1, 1}, new float[] {1, 1});

  private final float @Nullable [] key;
  private final float @Nullable [] query;
  private final float[] keyClip;
  private final float[] valueClip;

  /**
   * @param key [headDim][headDim], row vectors from the left; or null
   * @param query likewise, the inverse of key, transposed; null if key is
   * @param keyClip what a head's least value, if below 0, and greatest, if above, are multiplied by
   *     before the scale is found
   * @param valueClip likewise
   */
  public KvTransform(
      float @Nullable [] key, float @Nullable [] query, float[] keyClip, float[] valueClip) {
    if ((key == null) != (query == null)) {
      throw new IllegalArgumentException("keys and queries are transformed both or not at all");
    }
    if (keyClip.length != 2 || valueClip.length != 2) {
      throw new IllegalArgumentException("a clip is two numbers");
    }
    this.key = key;
    this.query = query;
    this.keyClip = keyClip;
    this.valueClip = valueClip;
  }

  /** Of keys; null where they stay as they are. */
  public float @Nullable [] key() {
    return key;
  }

  /** Of queries; null where they stay as they are. */
  public float @Nullable [] query() {
    return query;
  }

  /** Low and high, of keys. */
  public float[] keyClip() {
    return keyClip;
  }

  /** Low and high, of values. */
  public float[] valueClip() {
    return valueClip;
  }

  /** Whether keys that another one has transformed are as this one's are. */
  boolean sameKeysAs(KvTransform other) {
    return Arrays.equals(key, other.key);
  }

  /** All that it is made of, to be written by whoever owns the weights; empty where it has none. */
  List<float[]> floats() {
    return List.of(
        key == null ? new float[0] : key, query == null ? new float[0] : query, keyClip, valueClip);
  }
}
