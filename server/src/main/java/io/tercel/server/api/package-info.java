/** What the public port serves: every API's routes, side by side. */
@NullMarked
package io.tercel.server.api;

import org.jspecify.annotations.NullMarked;
