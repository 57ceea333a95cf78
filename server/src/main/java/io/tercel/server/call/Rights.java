package io.tercel.server.call;

/** What a caller may do, by the key that it sent. */
public enum Rights {
  /** May ask for tokens. */
  CLIENT,
  /** May steer the server besides, and go before others. */
  ADMIN
}
