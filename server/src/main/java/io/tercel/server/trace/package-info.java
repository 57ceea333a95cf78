/** OpenTelemetry: a span a request, to an OTLP endpoint. Nothing else knows the library. */
@NullMarked
package io.tercel.server.trace;

import org.jspecify.annotations.NullMarked;
