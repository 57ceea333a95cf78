/** The operations on the Vector API, one inner loop a file. */
@NullMarked
package io.tercel.kernels.vector;

import org.jspecify.annotations.NullMarked;
