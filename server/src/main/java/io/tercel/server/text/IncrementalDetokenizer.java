package io.tercel.server.text;

/**
 * The text of one stream of ids, as it becomes final.
 *
 * <p>All pieces and the flush in a row equal {@link Tokenizer#decode} of all ids. A piece never
 * ends within a character: the bytes of one that is not complete are held back. Time is linear in
 * the ids. Not thread-safe; one per choice.
 */
public sealed interface IncrementalDetokenizer permits ByteDetokenizer, WindowedDetokenizer {
  /** The text that became final with this id; often one token's, sometimes none. */
  String accept(int id);

  /** What was held back, at the end of the stream. */
  String flush();
}
