/** The command line. */
@NullMarked
package io.tercel.server.cli;

import org.jspecify.annotations.NullMarked;
