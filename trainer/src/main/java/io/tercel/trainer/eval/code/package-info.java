/** Benchmarks whose answers are programs: their tests, and where programs of strangers run. */
@NullMarked
package io.tercel.trainer.eval.code;

import org.jspecify.annotations.NullMarked;
