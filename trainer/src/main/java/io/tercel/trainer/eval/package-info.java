/** Evaluation: benchmarks, the checking of answers, and the statistics of both. */
@NullMarked
package io.tercel.trainer.eval;

import org.jspecify.annotations.NullMarked;
