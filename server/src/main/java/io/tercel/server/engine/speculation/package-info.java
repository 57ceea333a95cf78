/**
 * Guesses what a sequence says next, from what it and others have said: drafts without a model. The
 * engine verifies them; here is nothing that could change a result.
 */
@NullMarked
package io.tercel.server.engine.speculation;

import org.jspecify.annotations.NullMarked;
