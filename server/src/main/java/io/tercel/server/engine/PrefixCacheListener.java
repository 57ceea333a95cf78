package io.tercel.server.engine;

/**
 * Hears what the prefix cache holds, each change in its order, on the engine's thread: to be quick,
 * and to throw nothing. Blocks are named by {@link BlockHash}, which is the same for the same
 * tokens in every server.
 */
public interface PrefixCacheListener {
  /** Nobody listens. */
  PrefixCacheListener NONE =
      new PrefixCacheListener() {
        @Override
        public void stored(long hash, long parent, int[] tokens) {}

        @Override
        public void removed(long hash) {}

        @Override
        public void cleared() {}
      };

  /**
   * A full block can be found from now on.
   *
   * @param parent hash of the block before it, {@link BlockHash#ROOT} for a first one
   * @param tokens the block's own; the listener's to keep
   */
  void stored(long hash, long parent, int[] tokens);

  /** A block can't be found any more, nor could any behind it. */
  void removed(long hash);

  /** No block can be found any more. */
  void cleared();
}
