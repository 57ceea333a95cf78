/**
 * Changes of coordinates, in doubles, that leave a model's function as it is and make its weights
 * and activations easier to round.
 */
@NullMarked
package io.tercel.trainer.ptq.transform;

import org.jspecify.annotations.NullMarked;
