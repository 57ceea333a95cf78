package io.tercel.loadtests.data;

import java.util.List;

/** Who said what, in its order. */
record Conversation(List<Message> messages) {
  Conversation {
    messages = List.copyOf(messages);
  }

  /** Who speaks. */
  enum Role {
    SYSTEM,
    USER,
    ASSISTANT,
    /** Tools and others, which no session repeats. */
    OTHER;

    /** Under the names that ShareGPT's files and the OpenAI API have. */
    static Role of(String name) {
      return switch (name) {
        case "system" -> SYSTEM;
        case "human", "user" -> USER;
        case "gpt", "chatgpt", "bing", "bard", "assistant" -> ASSISTANT;
        default -> OTHER;
      };
    }
  }

  /** What somebody said. */
  record Message(Role role, String text) {}
}
