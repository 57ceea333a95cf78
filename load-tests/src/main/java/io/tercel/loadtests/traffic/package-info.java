/** When requests are sent, and by which kind of client. */
@NullMarked
package io.tercel.loadtests.traffic;

import org.jspecify.annotations.NullMarked;
