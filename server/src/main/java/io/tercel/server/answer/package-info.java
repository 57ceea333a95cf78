/** From what the engine says to what a client reads: text, thought, calls, ends. */
@NullMarked
package io.tercel.server.answer;

import org.jspecify.annotations.NullMarked;
