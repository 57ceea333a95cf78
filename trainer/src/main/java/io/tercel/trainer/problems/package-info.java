/** Seeded reasoning problems, worked step by step, with disjoint training and held-out sets. */
@NullMarked
package io.tercel.trainer.problems;

import org.jspecify.annotations.NullMarked;
