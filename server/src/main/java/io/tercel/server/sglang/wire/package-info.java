/** What goes over the wire in SGLang's form. */
@NullMarked
package io.tercel.server.sglang.wire;

import org.jspecify.annotations.NullMarked;
