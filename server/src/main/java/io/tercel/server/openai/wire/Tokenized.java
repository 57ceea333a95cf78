package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An answer of /tokenize.
 *
 * @param tokenStrs the tokens' texts where they were asked for
 */
public record Tokenized(
    int count,
    @JsonProperty("max_model_len") int maxModelLen,
    @SuppressWarnings("ArrayRecordComponent") int[] tokens, // never compared
    @JsonInclude(JsonInclude.Include.NON_NULL) @JsonProperty("token_strs")
        @Nullable List<String> tokenStrs) {}
