/**
 * Text that must have a form: JSON Schemas, regular expressions and choices become an automaton
 * over bytes, and that, before a vocabulary, the tokens that may come next.
 */
@NullMarked
package io.tercel.server.grammar;

import org.jspecify.annotations.NullMarked;
