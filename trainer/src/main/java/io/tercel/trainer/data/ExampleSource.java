package io.tercel.trainer.data;

import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.Optional;

/** Examples by number; the same number always gives the same. Any number of threads may ask. */
interface ExampleSource extends AutoCloseable {
  /** Items of an epoch; {@link Long#MAX_VALUE} where there is no end. */
  long size();

  /** The example of an item, of any length; empty where there are not two tokens. */
  Optional<Example> example(long item);

  /** Where an item stands, for messages. */
  String where(long item);

  /** Items that were left out when the source was opened, for there is nothing to learn in them. */
  long dropped();

  @Override
  void close();
}
