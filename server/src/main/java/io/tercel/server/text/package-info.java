/**
 * Text in and text out: templates and tokens on the way in, tokens to deltas on the way out.
 *
 * <p>In: {@link io.tercel.server.text.ChatTemplate} makes a prompt of messages, {@link
 * io.tercel.server.text.Tokenizer} makes ids of it. Out, one token at a time: {@link
 * io.tercel.server.text.IncrementalDetokenizer} (text that is final), {@link
 * io.tercel.server.text.ReasoningParser} (thought, marker or answer), {@link
 * io.tercel.server.text.StopMatcher} (held back while it could become a stop string); {@link
 * io.tercel.server.text.OutputText} is the three in that order. Nothing here logs a text.
 */
@NullMarked
package io.tercel.server.text;

import org.jspecify.annotations.NullMarked;
