/** {@code tercel bench serve}. */
@NullMarked
package io.tercel.loadtests.cli;

import org.jspecify.annotations.NullMarked;
