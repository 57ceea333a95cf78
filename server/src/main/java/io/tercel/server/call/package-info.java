/** What a request is on any wire: who asks, how the answer goes out, how it is refused. */
@NullMarked
package io.tercel.server.call;

import org.jspecify.annotations.NullMarked;
