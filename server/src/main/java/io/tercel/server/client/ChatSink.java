package io.tercel.server.client;

/** Hears a stream's text as it comes, on the thread that reads the stream. */
public interface ChatSink {
  /** Hears nothing: for those who want the whole. */
  ChatSink NONE = new ChatSink() {};

  default void thinking(String text) {}

  default void answer(String text) {}
}
