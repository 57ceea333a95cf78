package io.tercel.server.api.wire;

/** The server's version. */
public record Version(String version) {}
