/** The keys of a server that come from a file, which is read again when it changes. */
@NullMarked
package io.tercel.server.access;

import org.jspecify.annotations.NullMarked;
