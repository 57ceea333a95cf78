/** The server's own client: chat completions over HTTP, streamed. */
@NullMarked
package io.tercel.server.client;

import org.jspecify.annotations.NullMarked;
