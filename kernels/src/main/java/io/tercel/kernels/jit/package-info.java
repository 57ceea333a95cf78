/** The linears' machine code, assembled at start for the processor at hand. */
@NullMarked
package io.tercel.kernels.jit;

import org.jspecify.annotations.NullMarked;
