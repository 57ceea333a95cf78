/** Anthropic's Messages API: fields, handlers, what goes over the wire. */
@NullMarked
package io.tercel.server.anthropic;

import org.jspecify.annotations.NullMarked;
