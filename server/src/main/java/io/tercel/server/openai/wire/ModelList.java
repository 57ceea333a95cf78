package io.tercel.server.openai.wire;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/**
 * All served models.
 *
 * @param hasMore false, to Anthropic's clients: this is the only page
 */
public record ModelList(
    String object,
    List<ModelCard> data,
    @JsonProperty("has_more") boolean hasMore,
    @JsonProperty("first_id") String firstId,
    @JsonProperty("last_id") String lastId) {

  /** Of at least one. */
  public static ModelList of(List<ModelCard> all) {
    return new ModelList("list", all, false, all.getFirst().id(), all.getLast().id());
  }
}
