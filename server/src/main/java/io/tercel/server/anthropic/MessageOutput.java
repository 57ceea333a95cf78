package io.tercel.server.anthropic;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.anthropic.wire.ContentBlock;
import io.tercel.server.anthropic.wire.StreamEvent;
import io.tercel.server.anthropic.wire.StreamEvent.Delta;
import io.tercel.server.call.Json;
import io.tercel.server.request.CompletionId;
import io.tercel.server.text.OutputPart;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Makes the blocks of a message from what the choice gains: a thought, texts, calls of tools, in
 * the order in which the model wrote them. Each change is told as an event of the stream, to
 * whoever listens.
 */
final class MessageOutput {
  /** What the open block is. */
  private enum Open {
    NOTHING,
    THINKING,
    TEXT
  }

  private final boolean hidesThought;
  private final Consumer<StreamEvent> listener;
  private final List<ContentBlock> blocks = new ArrayList<>();
  private Open open = Open.NOTHING;
  private final StringBuilder text = new StringBuilder();

  /**
   * An output without blocks.
   *
   * @param hidesThought whether a thought is told by its signature alone
   */
  MessageOutput(boolean hidesThought, Consumer<StreamEvent> listener) {
    this.hidesThought = hidesThought;
    this.listener = listener;
  }

  void add(ChoiceDelta delta) {
    for (OutputPart part : delta.parts()) {
      switch (part) {
        case OutputPart.Thought(String more) -> think(more);
        case OutputPart.Text(String more) -> say(more);
        case OutputPart.Call call -> call(call);
      }
    }
    if (delta.end() != null) {
      close();
    }
  }

  /** The blocks that are whole, or have broken off. */
  List<ContentBlock> blocks() {
    return List.copyOf(blocks);
  }

  private void think(String more) {
    if (more.isEmpty()) {
      return;
    }
    if (open != Open.THINKING) {
      begin(Open.THINKING, new ContentBlock.Thinking("", ""));
    }
    text.append(more);
    if (!hidesThought) {
      grow(new Delta.Thinking(more));
    }
  }

  private void say(String more) {
    if (more.isEmpty()) {
      return;
    }
    if (open != Open.TEXT) {
      begin(Open.TEXT, new ContentBlock.Text(""));
    }
    text.append(more);
    grow(new Delta.Text(more));
  }

  private void call(OutputPart.Call call) {
    String id = CompletionId.unique("toolu_");
    ObjectNode input = input(call.arguments());
    begin(Open.NOTHING, new ContentBlock.ToolUse(id, call.name(), Json.MAPPER.createObjectNode()));
    grow(new Delta.InputJson(input.toString()));
    end(new ContentBlock.ToolUse(id, call.name(), input));
  }

  /** What the model wrote, which nothing but an object can stand for on this wire. */
  private static ObjectNode input(String arguments) {
    try {
      if (Json.MAPPER.readTree(arguments) instanceof ObjectNode object) {
        return object;
      }
    } catch (JsonProcessingException e) {
      // the client sees the letters, and its tool will say what is wrong with them
    }
    return Json.MAPPER.createObjectNode().put("arguments", arguments);
  }

  private void begin(Open kind, ContentBlock empty) {
    close();
    open = kind;
    text.setLength(0);
    listener.accept(new StreamEvent.BlockStart(blocks.size(), empty));
  }

  private void close() {
    switch (open) {
      case NOTHING -> {}
      case TEXT -> end(new ContentBlock.Text(text.toString()));
      case THINKING -> {
        String thought = text.toString();
        String signature = ThoughtSignature.of(thought, hidesThought);
        grow(new Delta.Signature(signature));
        end(new ContentBlock.Thinking(hidesThought ? "" : thought, signature));
      }
    }
    open = Open.NOTHING;
  }

  private void grow(Delta delta) {
    listener.accept(new StreamEvent.BlockDelta(blocks.size(), delta));
  }

  private void end(ContentBlock whole) {
    listener.accept(new StreamEvent.BlockStop(blocks.size()));
    blocks.add(whole);
  }
}
