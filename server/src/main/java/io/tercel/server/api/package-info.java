/** The HTTP endpoints on Netty. */
@NullMarked
package io.tercel.server.api;

import org.jspecify.annotations.NullMarked;
