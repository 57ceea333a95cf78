package io.tercel.server.engine;

import io.tercel.server.grammar.TokenAutomaton;

/**
 * A form that the answer must have; the thought before it is free.
 *
 * @param automaton which tokens fit; shared by all choices of all requests of this form
 * @param mayThinkFirst whether a thought that the prompt has not opened may be opened by the first
 *     token
 */
public record AnswerForm(TokenAutomaton automaton, boolean mayThinkFirst) {}
