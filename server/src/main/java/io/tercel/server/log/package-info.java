/** The request log: a line a request, without a word of what was said. */
@NullMarked
package io.tercel.server.log;

import org.jspecify.annotations.NullMarked;
