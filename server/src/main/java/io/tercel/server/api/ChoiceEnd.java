package io.tercel.server.api;

import org.jspecify.annotations.Nullable;

/**
 * How a choice ended.
 *
 * @param finishReason stop, length, tool_calls or abort
 * @param stopReason the stop string, or the id among the request's stop_token_ids, or "repetition"
 *     where the answer went round in circles; else null
 */
public record ChoiceEnd(String finishReason, @Nullable Object stopReason) {}
