/** Post-training quantization: checkpoints in 16 bit become checkpoints in 3 bit. */
@NullMarked
package io.tercel.trainer.ptq;

import org.jspecify.annotations.NullMarked;
