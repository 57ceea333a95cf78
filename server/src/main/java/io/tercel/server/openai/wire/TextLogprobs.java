package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The log-probs of a text choice: parallel lists, the first entry null when the prompt is echoed.
 */
public record TextLogprobs(
    @JsonProperty("text_offset") List<Integer> textOffset,
    @JsonProperty("token_logprobs") List<@Nullable Float> tokenLogprobs,
    List<String> tokens,
    @JsonProperty("top_logprobs") List<@Nullable Map<String, Float>> topLogprobs) {}
