package io.tercel.server.engine;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * Names a full block of the KV cache by its tokens and all before them: the first 8 bytes,
 * big-endian, of SHA-256 over the parent's hash (8 bytes, big-endian) and the block's token ids (4
 * bytes each, big-endian). Nothing else goes in, so that routers that watch several servers see the
 * same prefix under the same name. The cache itself does not find blocks by it.
 */
public final class BlockHash {
  /** What stands for the parent of a first block. */
  public static final long ROOT = 0;

  private final MessageDigest sha256;
  private ByteBuffer bytes = ByteBuffer.allocate(0);

  public BlockHash() {
    try {
      sha256 = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every JDK has it
    }
  }

  /** The hash of a block of {@code count} tokens, from {@code from} on. */
  public long of(long parent, int[] tokens, int from, int count) {
    int size = Long.BYTES + count * Integer.BYTES;
    if (bytes.capacity() < size) {
      bytes = ByteBuffer.allocate(size);
    }
    bytes.clear().putLong(parent);
    for (int i = from; i < from + count; i++) {
      bytes.putInt(tokens[i]);
    }
    sha256.update(bytes.array(), 0, size);
    return ByteBuffer.wrap(sha256.digest()).getLong();
  }
}
