package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonValue;
import org.jspecify.annotations.Nullable;

/** The usage of a chunk: a chunk that has no slot says nothing, an empty slot says null. */
public record UsageSlot(@JsonValue @Nullable Usage usage) {
  public static final UsageSlot EMPTY = new UsageSlot(null);
}
