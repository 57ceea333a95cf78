package io.tercel.server.http;

import io.netty.handler.codec.http.HttpHeaders;

/**
 * A request's first part, checked and taken apart.
 *
 * @param path as sent, still percent-encoded, without the query
 * @param query as sent, without the question mark; empty where there is none
 * @param id of the request: the client's own where it sent a usable one
 * @param keepAlive the client can send another request after this one
 * @param chunkable the client understands chunked answers (HTTP/1.1)
 */
record RequestHead(
    String method,
    String path,
    String query,
    HttpHeaders headers,
    String id,
    boolean keepAlive,
    boolean chunkable) {}
