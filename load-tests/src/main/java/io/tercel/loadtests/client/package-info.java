/** Servers under load, and how clients of each kind behave. */
@NullMarked
package io.tercel.loadtests.client;

import org.jspecify.annotations.NullMarked;
