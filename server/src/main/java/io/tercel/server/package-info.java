/** Requests: the engine, text in and out, HTTP endpoints and the command line. */
@NullMarked
package io.tercel.server;

import org.jspecify.annotations.NullMarked;
