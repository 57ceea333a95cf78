/** The student that cross-entropy, distillation and GRPO all train, and how it is trained. */
@NullMarked
package io.tercel.trainer.qat;

import org.jspecify.annotations.NullMarked;
