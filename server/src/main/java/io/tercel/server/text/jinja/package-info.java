/**
 * A small, strict interpreter of the part of Jinja that published chat templates use.
 *
 * <p>Values follow Python: None is {@link io.tercel.server.text.jinja.None}, integers are {@code
 * Long}, floats {@code Double}, strings {@code String} counted in code points, lists {@code List},
 * dicts {@code Map} in insertion order, tuples {@link io.tercel.server.text.jinja.Tuple}. The
 * environment is that of Hugging Face's {@code apply_chat_template}: trim_blocks, lstrip_blocks, no
 * autoescape, loop controls, an immutable sandbox.
 *
 * <p>What the interpreter doesn't know it refuses while parsing; what a template could do without
 * end (loops, macros, strings that double) is charged to a {@link
 * io.tercel.server.text.jinja.Budget}.
 */
@NullMarked
package io.tercel.server.text.jinja;

import org.jspecify.annotations.NullMarked;
