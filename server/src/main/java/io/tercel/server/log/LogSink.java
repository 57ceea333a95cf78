package io.tercel.server.log;

import java.io.IOException;

/** Where lines go. */
interface LogSink extends AutoCloseable {
  void write(byte[] lines) throws IOException;

  @Override
  void close() throws IOException;
}
