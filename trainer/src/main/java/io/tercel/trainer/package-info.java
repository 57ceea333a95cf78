/** Gradients: training, quantization and evaluation. */
@NullMarked
package io.tercel.trainer;

import org.jspecify.annotations.NullMarked;
