/** Decoder layers in 4 bits on PyTorch: their forward pass, and FlatQuant, which learns from it. */
@NullMarked
package io.tercel.trainer.ptq.flatquant;

import org.jspecify.annotations.NullMarked;
