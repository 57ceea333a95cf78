/**
 * The gRPC endpoint {@code tercel.v1}: messages to the requests of {@code server.openai} and back.
 * What a request means is decided there.
 */
@NullMarked
package io.tercel.server.grpc;

import org.jspecify.annotations.NullMarked;
