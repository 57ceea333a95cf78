package io.tercel.server.anthropic.wire;

import com.fasterxml.jackson.annotation.JsonProperty;

/** An event of a streamed message, whose type is its name as well. */
public sealed interface StreamEvent {
  String type();

  /** The first: a message without content. */
  record MessageStart(String type, Message message) implements StreamEvent {
    public MessageStart(Message message) {
      this("message_start", message);
    }
  }

  /** A block begins, empty; blocks are numbered from 0 and never overlap. */
  record BlockStart(
      String type, int index, @JsonProperty("content_block") ContentBlock contentBlock)
      implements StreamEvent {
    public BlockStart(int index, ContentBlock contentBlock) {
      this("content_block_start", index, contentBlock);
    }
  }

  /** A block grows. */
  record BlockDelta(String type, int index, Delta delta) implements StreamEvent {
    public BlockDelta(int index, Delta delta) {
      this("content_block_delta", index, delta);
    }
  }

  /** What a block gains. */
  sealed interface Delta {
    /** More of a thought. */
    record Thinking(String type, String thinking) implements Delta {
      public Thinking(String thinking) {
        this("thinking_delta", thinking);
      }
    }

    /** A thought's signature, at its end. */
    record Signature(String type, String signature) implements Delta {
      public Signature(String signature) {
        this("signature_delta", signature);
      }
    }

    /** More of a text. */
    record Text(String type, String text) implements Delta {
      public Text(String text) {
        this("text_delta", text);
      }
    }

    /** More of the JSON of a call's input. */
    record InputJson(String type, @JsonProperty("partial_json") String partialJson)
        implements Delta {
      public InputJson(String partialJson) {
        this("input_json_delta", partialJson);
      }
    }
  }

  /** A block is whole. */
  record BlockStop(String type, int index) implements StreamEvent {
    public BlockStop(int index) {
      this("content_block_stop", index);
    }
  }

  /** How the message ended, and what it took. */
  record MessageDelta(String type, Stop delta, MessageUsage usage) implements StreamEvent {
    public MessageDelta(Stop delta, MessageUsage usage) {
      this("message_delta", delta, usage);
    }
  }

  /** The last. */
  record MessageStop(String type) implements StreamEvent {
    public MessageStop() {
      this("message_stop");
    }
  }

  /** Nothing has happened yet. */
  record Ping(String type) implements StreamEvent {
    public Ping() {
      this("ping");
    }
  }
}
