/** What clients saw, and what it amounts to. */
@NullMarked
package io.tercel.loadtests.metrics;

import org.jspecify.annotations.NullMarked;
