/** Hours of everything at once, and whether the server is afterwards what it was before. */
@NullMarked
package io.tercel.loadtests.soak;

import org.jspecify.annotations.NullMarked;
