package io.tercel.server.call;

/** An answer in parts: JSON values, then an end or an error. Several threads may write. */
public interface EventStream {

  /** Sends one value. */
  void event(Object json);

  /** Ends the stream as it should end. */
  void done();

  /** Ends the stream with an error, after which there is nothing. */
  void fail(ApiException e);
}
