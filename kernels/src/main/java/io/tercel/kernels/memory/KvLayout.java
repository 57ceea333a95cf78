package io.tercel.kernels.memory;

import io.tercel.kernels.format.ModelConfig;

/**
 * Where the bytes of keys and values lie. A block holds {@value #BLOCK_SIZE} tokens of one layer:
 *
 * <pre>
 *   block(layer, b) = | K head 0 | K head 1 | ... | V head 0 | V head 1 | ... |
 *   K of a head     = [headDim][16 tokens]   tokens are lanes: scores need no sum across lanes
 *   V of a head     = [16 tokens][headDim]   outputs are lanes: neither do they
 * </pre>
 *
 * <p>Blocks of a layer are adjacent, layers follow one another.
 */
public record KvLayout(KvType type, int numLayers, int numKvHeads, int headDim) {
  /** Tokens in a block: one lane each in a 512-bit vector of floats. */
  public static final int BLOCK_SIZE = 16;

  public static KvLayout of(ModelConfig config, KvType type) {
    return new KvLayout(type, config.numLayers(), config.numKvHeads(), config.headDim());
  }

  /** Bytes of K (or of V) of one head in one block. */
  public long headBytes() {
    return (long) BLOCK_SIZE * headDim * type.elementBytes();
  }

  /** Bytes of one block of one layer. */
  public long layerBlockBytes() {
    return 2L * numKvHeads * headBytes();
  }

  /** Bytes of one block in all layers. */
  public long blockBytes() {
    return numLayers * layerBlockBytes();
  }

  /** Bytes of one token in all layers. */
  public long tokenBytes() {
    return blockBytes() / BLOCK_SIZE;
  }

  /** Byte offset of K of a head in a pool of so many blocks. */
  public long keyOffset(int numBlocks, int layer, int block, int head) {
    return ((long) layer * numBlocks + block) * layerBlockBytes() + head * headBytes();
  }

  /** Byte offset of V of a head in a pool of so many blocks. */
  public long valueOffset(int numBlocks, int layer, int block, int head) {
    return keyOffset(numBlocks, layer, block, head) + numKvHeads * headBytes();
  }
}
