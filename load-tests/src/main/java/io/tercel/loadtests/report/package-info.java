/** Results as a table, as JSON and as plots. */
@NullMarked
package io.tercel.loadtests.report;

import org.jspecify.annotations.NullMarked;
