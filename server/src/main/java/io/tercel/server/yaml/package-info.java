/** YAML, and JSON with it, read with its places, so that what is wrong is found. */
@NullMarked
package io.tercel.server.yaml;

import org.jspecify.annotations.NullMarked;
