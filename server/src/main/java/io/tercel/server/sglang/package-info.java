/**
 * SGLang's own API, as frameworks for reinforcement learning speak it: {@code POST /generate} in
 * its fields, put into the shared ones, and its answers.
 */
@NullMarked
package io.tercel.server.sglang;

import org.jspecify.annotations.NullMarked;
