/**
 * Rollouts by other servers: plain {@code tercel serve} processes which are sent the weights that
 * are trained, by gRPC.
 */
@NullMarked
package io.tercel.trainer.worker;

import org.jspecify.annotations.NullMarked;
