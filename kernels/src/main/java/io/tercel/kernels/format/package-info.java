/** Weight formats and checkpoints: what the bits mean and how they are read from files. */
@NullMarked
package io.tercel.kernels.format;

import org.jspecify.annotations.NullMarked;
