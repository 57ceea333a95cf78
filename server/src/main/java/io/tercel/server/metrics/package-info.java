/** The server's figures for Prometheus. */
@NullMarked
package io.tercel.server.metrics;

import org.jspecify.annotations.NullMarked;
