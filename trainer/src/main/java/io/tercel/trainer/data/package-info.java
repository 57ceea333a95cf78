/** What students learn from: texts and conversations as tokens, and prompts with their answers. */
@NullMarked
package io.tercel.trainer.data;

import org.jspecify.annotations.NullMarked;
