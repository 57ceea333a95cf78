/** HTTP on Netty: sockets, limits, the key, routes. Knows no API. */
@NullMarked
package io.tercel.server.http;

import org.jspecify.annotations.NullMarked;
