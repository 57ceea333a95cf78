/** A file of requests answered into a file of answers, in its order, and gone on with later. */
@NullMarked
package io.tercel.server.batch;

import org.jspecify.annotations.NullMarked;
