/** What goes over the wire as JSON, one record a shape. */
@NullMarked
package io.tercel.server.openai.wire;

import org.jspecify.annotations.NullMarked;
