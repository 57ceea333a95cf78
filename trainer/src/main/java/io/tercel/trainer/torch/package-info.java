/** The ground that gradients stand on: PyTorch through DJL, trained tensors and their optimizer. */
@NullMarked
package io.tercel.trainer.torch;

import org.jspecify.annotations.NullMarked;
