/** Answers of the model that is being trained, by the engine that serves it. */
@NullMarked
package io.tercel.trainer.rollout;

import org.jspecify.annotations.NullMarked;
