/** What is trained goes into the weights that are being served, in place, while they are served. */
@NullMarked
package io.tercel.trainer.share;

import org.jspecify.annotations.NullMarked;
