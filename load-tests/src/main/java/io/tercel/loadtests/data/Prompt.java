package io.tercel.loadtests.data;

import com.fasterxml.jackson.databind.JsonNode;

/** What a request asks. */
public sealed interface Prompt {
  /** Plain text; a chat endpoint gets it as one user message. */
  record Text(String text) implements Prompt {}

  /** A chat's messages, as in the OpenAI API. */
  record Messages(JsonNode messages) implements Prompt {}

  /** Token ids, whose number is exact; not for chat endpoints. */
  final class TokenIds implements Prompt {
    private final int[] ids;

    /** Takes the ids as they are. */
    public TokenIds(int[] ids) {
      this.ids = ids.clone();
    }

    public int size() {
      return ids.length;
    }

    public int id(int index) {
      return ids[index];
    }
  }
}
