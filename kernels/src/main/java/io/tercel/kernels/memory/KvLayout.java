package io.tercel.kernels.memory;

import io.tercel.kernels.format.ModelConfig;

/**
 * Where the bytes of keys and values lie. A block holds {@value #BLOCK_SIZE} tokens of one layer:
 *
 * <pre>
 *   block(layer, b) = | K head 0 | K head 1 | ... | V head 0 | V head 1 | ... |
 *
 * fp32, fp16
 *   K of a head = [headDim][16 tokens]    tokens are lanes: scores need no sum across lanes
 *   V of a head = [16 tokens][headDim]    outputs are lanes: neither do they
 *
 * int4, in 32-bit little-endian words
 *   K of a head = [headDim / 8][16 tokens]          dim 8g + j of a token: bits 4j .. 4j+3 of its word in row g
 *               | [16 tokens] scale and zero
 *   V of a head = [8 pairs of tokens][chunks of 64 dims][16 lanes]
 *                                                   low half of a word: the even token, high half: the odd one;
 *                                                   dim 64c + 16j + lane: bits 4j .. 4j+3 of its half
 *               | [16 tokens] scale and zero
 *
 *   scale and zero   31      20 19  16 15          0
 *                   |    0     | zero | scale, fp16 |      value = scale (code - zero)
 * </pre>
 *
 * <p>A token owns whole words of K and whole halves of words of V: writing one never touches
 * another. V's last chunk is padded to 64 dims. 4-bit heads are 16 (headDim / 2 + 4) bytes when
 * headDim is a multiple of 64.
 *
 * <p>Blocks of a layer are adjacent, layers follow one another.
 */
public record KvLayout(KvType type, int numLayers, int numKvHeads, int headDim) {
  /** Tokens in a block: one lane each in a 512-bit vector of floats. */
  public static final int BLOCK_SIZE = 16;

  /** Dims of K in a 4-bit word. */
  public static final int WORD_DIMS = 8;

  /** Dims of V in a 4-bit chunk. */
  public static final int CHUNK_DIMS = 64;

  /** Bytes of a 4-bit row of 16 words, and of the scales and zeros of a block. */
  public static final int ROW_BYTES = BLOCK_SIZE * Integer.BYTES;

  public KvLayout {
    if (type == KvType.INT4 && headDim % WORD_DIMS != 0) {
      throw new IllegalArgumentException(
          "int4 keys and values need a head_dim that is a multiple of "
              + WORD_DIMS
              + ": "
              + headDim);
    }
  }

  public static KvLayout of(ModelConfig config, KvType type) {
    return new KvLayout(type, config.numLayers(), config.numKvHeads(), config.headDim());
  }

  /** Chunks of {@value #CHUNK_DIMS} dims that a head takes, the last one perhaps in part. */
  public int chunks() {
    return Math.ceilDiv(headDim, CHUNK_DIMS);
  }

  /** Bytes of the codes of K of one head in one 4-bit block: its scales begin there. */
  public long keyCodeBytes() {
    return (long) headDim / WORD_DIMS * ROW_BYTES;
  }

  /** Bytes of the codes of V of one head in one 4-bit block: its scales begin there. */
  public long valueCodeBytes() {
    return (long) BLOCK_SIZE / 2 * chunks() * ROW_BYTES;
  }

  /** Bytes of K of one head in one block. */
  public long keyBytes() {
    return type == KvType.INT4
        ? keyCodeBytes() + ROW_BYTES
        : (long) BLOCK_SIZE * headDim * type.bits() / Byte.SIZE;
  }

  /** Bytes of V of one head in one block. */
  public long valueBytes() {
    return type == KvType.INT4 ? valueCodeBytes() + ROW_BYTES : keyBytes();
  }

  /** Bytes of one block of one layer. */
  public long layerBlockBytes() {
    return numKvHeads * (keyBytes() + valueBytes());
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
    return ((long) layer * numBlocks + block) * layerBlockBytes() + head * keyBytes();
  }

  /** Byte offset of V of a head in a pool of so many blocks. */
  public long valueOffset(int numBlocks, int layer, int block, int head) {
    return keyOffset(numBlocks, layer, block, numKvHeads) + head * valueBytes();
  }
}
