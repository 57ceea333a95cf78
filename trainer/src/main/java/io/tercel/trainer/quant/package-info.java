/**
 * What bits mean to a trainer: grids, matrices of codes, and what is kept to train them further.
 */
@NullMarked
package io.tercel.trainer.quant;

import org.jspecify.annotations.NullMarked;
