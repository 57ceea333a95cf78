/** Off-heap regions and who owns them: the weights and the KV pool. */
@NullMarked
package io.tercel.kernels.memory;

import org.jspecify.annotations.NullMarked;
