/** The student: fp32 parameters, rounded in the forward pass as they are served, and its losses. */
@NullMarked
package io.tercel.trainer.qat;

import org.jspecify.annotations.NullMarked;
