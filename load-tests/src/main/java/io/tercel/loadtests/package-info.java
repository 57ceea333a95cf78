/** Load tests of a running server: open and closed loop, over HTTP and gRPC. */
@NullMarked
package io.tercel.loadtests;

import org.jspecify.annotations.NullMarked;
