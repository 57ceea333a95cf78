/** OpenAI's API as it differs from others: handlers, what goes over the wire. */
@NullMarked
package io.tercel.server.openai;

import org.jspecify.annotations.NullMarked;
