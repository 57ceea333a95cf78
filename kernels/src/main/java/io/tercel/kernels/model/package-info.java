/** The model's forward pass on any set of operations. */
@NullMarked
package io.tercel.kernels.model;

import org.jspecify.annotations.NullMarked;
