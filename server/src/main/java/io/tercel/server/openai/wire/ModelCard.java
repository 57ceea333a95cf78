package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;

/** A served model. */
public record ModelCard(
    String id,
    String object,
    long created,
    @JsonProperty("owned_by") String ownedBy,
    String root,
    @JsonProperty("max_model_len") int maxModelLen) {}
