/** What others see of a training run, by gRPC. */
@NullMarked
package io.tercel.trainer.api;

import org.jspecify.annotations.NullMarked;
