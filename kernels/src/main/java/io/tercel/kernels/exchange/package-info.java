/**
 * Weights as bytes in the order of checkpoints, for stores in other processes: what changed, and
 * what came.
 */
@NullMarked
package io.tercel.kernels.exchange;

import org.jspecify.annotations.NullMarked;
