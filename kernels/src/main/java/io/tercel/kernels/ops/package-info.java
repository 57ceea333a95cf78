/** The contract of every operation, of one step, and of sampling. */
@NullMarked
package io.tercel.kernels.ops;

import org.jspecify.annotations.NullMarked;
