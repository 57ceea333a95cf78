/** What is asked: seeded datasets of prompts. */
@NullMarked
package io.tercel.loadtests.data;

import org.jspecify.annotations.NullMarked;
