/** What goes over the wire of Anthropic's Messages API. */
@NullMarked
package io.tercel.server.anthropic.wire;

import org.jspecify.annotations.NullMarked;
