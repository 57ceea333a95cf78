/** Two results side by side, and what can be told from them. */
@NullMarked
package io.tercel.loadtests.compare;

import org.jspecify.annotations.NullMarked;
