package io.tercel.server.call;

import org.jspecify.annotations.Nullable;

/** Who may come in at a door of the server, such as a port or a gRPC service. */
public interface Guard {

  /**
   * Lets a caller in.
   *
   * @param authorization the header of that name, as sent
   * @return whose key it is, which says what the caller may do
   * @throws ApiException 401 or 403, if it stays out
   */
  KeyHolder admit(@Nullable String authorization);

  /**
   * Whether it asks for a key at all; if not, web pages of strangers must be kept out otherwise.
   */
  boolean asksForKey();
}
