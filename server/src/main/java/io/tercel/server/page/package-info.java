/**
 * The page at {@code /} and the dashboard: files of the jar, which talk to the APIs like anyone.
 */
@NullMarked
package io.tercel.server.page;

import org.jspecify.annotations.NullMarked;
