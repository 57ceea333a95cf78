package io.tercel.server.sglang.wire;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import org.jspecify.annotations.Nullable;

/**
 * A token's log-prob, as an array of three.
 *
 * @param logprob null for a token whose predecessors were not asked about
 * @param text null unless it was asked for
 */
@JsonFormat(shape = JsonFormat.Shape.ARRAY)
@JsonPropertyOrder({"logprob", "id", "text"})
public record TokenScore(@Nullable Float logprob, int id, @Nullable String text) {}
