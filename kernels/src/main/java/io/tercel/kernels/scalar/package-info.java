/** The definition of each operation: obvious and slow. */
@NullMarked
package io.tercel.kernels.scalar;

import org.jspecify.annotations.NullMarked;
