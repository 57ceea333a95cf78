/** Clients that no server wants, and what they cost it. */
@NullMarked
package io.tercel.loadtests.hostile;

import org.jspecify.annotations.NullMarked;
