/** How whoever runs a server steers it, on any wire, and the HTTP routes for that. */
@NullMarked
package io.tercel.server.control;

import org.jspecify.annotations.NullMarked;
