package io.tercel.trainer.eval;

import org.jspecify.annotations.Nullable;

/**
 * One problem of a benchmark.
 *
 * @param id unique within its file: the file's own, else the line's number
 * @param family the kind of problem, by which results are told apart; null if the data has none
 * @param selfContained whether the question already says how to answer, and gets no template
 */
public record BenchmarkProblem(
    String id, String question, String answer, @Nullable String family, boolean selfContained) {}
