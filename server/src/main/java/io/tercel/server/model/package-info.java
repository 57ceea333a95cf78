/** What a served model is: its files, plan, weights, backend, engine and text. */
@NullMarked
package io.tercel.server.model;

import org.jspecify.annotations.NullMarked;
