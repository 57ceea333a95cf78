/** The paper's tables, made again on a model that two cores can train. */
@NullMarked
package io.tercel.trainer.repro;

import org.jspecify.annotations.NullMarked;
