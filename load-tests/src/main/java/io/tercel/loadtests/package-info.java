/** Load tests of a running server: open and closed loop, over HTTP. */
@NullMarked
package io.tercel.loadtests;

import org.jspecify.annotations.NullMarked;
