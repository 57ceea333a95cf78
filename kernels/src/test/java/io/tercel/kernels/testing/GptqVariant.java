package io.tercel.kernels.testing;

/**
 * The ways in which a 3-bit GPTQ checkpoint may be written.
 *
 * @param symmetric zero point 4 everywhere, else one for each group
 * @param actOrder a random permutation of the inputs decides who shares a group
 * @param v2 zero points stored as they are, else one less, modulo 8
 * @param gIdx whether g_idx is written; needed for actOrder
 */
public record GptqVariant(boolean symmetric, boolean actOrder, boolean v2, boolean gIdx) {
  public static final GptqVariant SYM = new GptqVariant(true, false, false, true);
  public static final GptqVariant ASYM = new GptqVariant(false, false, false, true);
  public static final GptqVariant ASYM_V2 = new GptqVariant(false, false, true, true);
  public static final GptqVariant SYM_ACT_ORDER = new GptqVariant(true, true, false, true);
  public static final GptqVariant ASYM_ACT_ORDER_V2 = new GptqVariant(false, true, true, true);
  public static final GptqVariant SYM_NO_G_IDX = new GptqVariant(true, false, false, false);
}
