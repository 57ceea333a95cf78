package io.tercel.server.engine;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.Map;

/** What a router makes of what it hears, and complains of what can't be. */
final class CacheMirror implements PrefixCacheListener {
  private record Block(long parent, int children) {}

  private final Map<Long, Block> blocks = new HashMap<>();

  int size() {
    return blocks.size();
  }

  @Override
  public void stored(long hash, long parent, int[] tokens) {
    require(hash == hash(parent, tokens), "a hash is not that of its tokens");
    require(!blocks.containsKey(hash), "a block is stored twice");
    if (parent != BlockHash.ROOT) {
      require(blocks.containsKey(parent), "a block is stored before its parent");
      count(parent, 1);
    }
    blocks.put(hash, new Block(parent, 0));
  }

  @Override
  public void removed(long hash) {
    Block block = blocks.remove(hash);
    if (block == null) {
      throw new IllegalStateException("a block is removed that isn't there");
    }
    require(block.children() == 0, "a block is removed before its children");
    if (block.parent() != BlockHash.ROOT) {
      count(block.parent(), -1);
    }
  }

  @Override
  public void cleared() {
    blocks.clear();
  }

  private void count(long parent, int more) {
    blocks.computeIfPresent(
        parent, (_, block) -> new Block(block.parent(), block.children() + more));
  }

  /** As the documentation says it, in a few lines of its own. */
  private static long hash(long parent, int[] tokens) {
    ByteBuffer bytes = ByteBuffer.allocate(8 + 4 * tokens.length).putLong(parent);
    bytes.asIntBuffer().put(tokens);
    try {
      return ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes.array())).getLong();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }
}
