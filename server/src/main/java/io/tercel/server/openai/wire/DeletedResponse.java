package io.tercel.server.openai.wire;

/** A response that is no longer there. */
public record DeletedResponse(String id, String object, boolean deleted) {}
