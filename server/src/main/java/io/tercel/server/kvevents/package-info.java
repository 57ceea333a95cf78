/**
 * Tells routers which prefixes this server has cached, over ZeroMQ in the form of vLLM's KV cache
 * events, so that a request goes where its beginning is known already.
 */
@NullMarked
package io.tercel.server.kvevents;

import org.jspecify.annotations.NullMarked;
