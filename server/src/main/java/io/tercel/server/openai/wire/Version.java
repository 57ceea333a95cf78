package io.tercel.server.openai.wire;

/** The server's version. */
public record Version(String version) {}
