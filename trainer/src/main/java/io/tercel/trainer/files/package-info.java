/** Files that are whole or not there at all, and tensors in them. */
@NullMarked
package io.tercel.trainer.files;

import org.jspecify.annotations.NullMarked;
