/** Distillation: a quantized student learns from its full-precision teacher, or from texts. */
@NullMarked
package io.tercel.trainer.distill;

import org.jspecify.annotations.NullMarked;
