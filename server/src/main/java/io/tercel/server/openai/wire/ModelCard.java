package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * A served model, as OpenAI's clients and Anthropic's look for it: both have one route for it, and
 * no field of either means something else to the other.
 *
 * @param object and what follows, to those of OpenAI and vLLM
 * @param type and what follows, to those of Anthropic
 * @param createdAt the same as created, in RFC 3339
 */
public record ModelCard(
    String id,
    String object,
    long created,
    @JsonProperty("owned_by") String ownedBy,
    String root,
    @JsonProperty("max_model_len") int maxModelLen,
    String type,
    @JsonProperty("display_name") String displayName,
    @JsonProperty("created_at") String createdAt,
    String lifecycle,
    @JsonProperty("max_input_tokens") int maxInputTokens,
    @JsonProperty("max_tokens") int maxTokens) {}
