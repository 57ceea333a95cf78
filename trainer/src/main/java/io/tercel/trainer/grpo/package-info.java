/** GRPO: rollouts of the served policy are rewarded, and the policy learns from them. */
@NullMarked
package io.tercel.trainer.grpo;

import org.jspecify.annotations.NullMarked;
