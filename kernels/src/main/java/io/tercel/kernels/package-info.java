/** Numerics and memory: weight formats, CPU kernels and the model's forward pass. */
@NullMarked
package io.tercel.kernels;

import org.jspecify.annotations.NullMarked;
