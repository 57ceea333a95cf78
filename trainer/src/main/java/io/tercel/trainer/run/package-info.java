/** What every training run leaves in its folder: checkpoint, log, curves; and its progress. */
@NullMarked
package io.tercel.trainer.run;

import org.jspecify.annotations.NullMarked;
