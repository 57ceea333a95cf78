/** Training from scratch: recipes, data, the loop, and the commands. */
@NullMarked
package io.tercel.trainer.train;

import org.jspecify.annotations.NullMarked;
