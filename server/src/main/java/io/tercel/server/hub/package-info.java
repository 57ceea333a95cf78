/** The Hugging Face hub: its cache on disk, and the download into it. */
@NullMarked
package io.tercel.server.hub;

import org.jspecify.annotations.NullMarked;
