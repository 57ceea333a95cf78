package io.tercel.kernels.format;

/** How compressed-tensors puts 3-bit codes into 32-bit words. */
public enum CodePacking {
  /** Thirty-two codes in three words, code i at bits [3i, 3i+3) of 96, as GPTQ has them. */
  DENSE {
    @Override
    int words(int codes) {
      return Math.ceilDiv(3 * codes, 32);
    }

    @Override
    int code(Tensor words, long first, long stride, int i) {
      int bit = i % 32 * 3;
      long at = first + (i / 32 * 3 + bit / 32) * stride;
      int shift = bit % 32;
      int code = words.intAt(at) >>> shift;
      if (shift > 29) { // it goes on in the next word
        code |= words.intAt(at + stride) << 32 - shift;
      }
      return code & 7;
    }
  },

  /** Ten codes in each word, from its low end; the two highest bits are nothing. */
  TEN_A_WORD {
    @Override
    int words(int codes) {
      return Math.ceilDiv(codes, 10);
    }

    @Override
    int code(Tensor words, long first, long stride, int i) {
      return words.intAt(first + i / 10 * stride) >>> i % 10 * 3 & 7;
    }
  };

  /** Words that so many codes take, a multiple of 32. */
  abstract int words(int codes);

  /**
   * One code, 0..7.
   *
   * @param words I32
   * @param first index of the stream's first word
   * @param stride from one of its words to the next
   */
  abstract int code(Tensor words, long first, long stride, int i);
}
