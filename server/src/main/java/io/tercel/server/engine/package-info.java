/** The engine: requests become sequences, sequences become steps. */
@NullMarked
package io.tercel.server.engine;

import org.jspecify.annotations.NullMarked;
