/** A quantized student in training, whatever it learns from: options, its course, and its frame. */
@NullMarked
package io.tercel.trainer.student;

import org.jspecify.annotations.NullMarked;
