package io.tercel.trainer.eval;

/**
 * How one answer to one problem of a suite went; all that the table needs.
 *
 * @param tokens of the answer, thought included; -1 if the server doesn't say
 * @param cut whether it came to the bound of its length
 */
record SuiteScore(
    String suite, long seed, String problem, boolean correct, int tokens, boolean cut) {}
