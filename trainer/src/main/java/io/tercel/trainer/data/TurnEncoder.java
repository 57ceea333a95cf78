package io.tercel.trainer.data;

import io.tercel.server.UserException;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.Tokenizer;
import io.tercel.server.text.jinja.TemplateException;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Turns as tokens: the prompt that a server would make of the messages before, then what the model
 * is to generate behind it, tokenized apart, as the engine sees them. So a template that leaves
 * thoughts out of earlier turns leaves them out here, and the thought of the trained turn is kept.
 *
 * <p>Where the prompt ends within an opened thought, the response goes on there; a turn without a
 * thought closes it at once, as hybrid models' templates do. Any number of threads may encode.
 */
final class TurnEncoder {
  private static final String OPEN = "<think>";
  private static final String CLOSE = "</think>";
  private static final String PROBE = "tercelprobe";

  private final Tokenizer tokenizer;
  private final ChatTemplate template;
  private final OptionalInt end;

  private TurnEncoder(Tokenizer tokenizer, ChatTemplate template) {
    this.tokenizer = tokenizer;
    this.template = template;
    this.end = end();
  }

  /**
   * An encoder for a model.
   *
   * @throws UserException if it has no chat template that can be used
   */
  static TurnEncoder of(Tokenizer tokenizer) {
    try {
      ChatTemplate template =
          ChatTemplate.of(tokenizer.config())
              .orElseThrow(
                  () ->
                      new UserException(
                          "--data: conversations and problems need a chat template, which this"
                              + " model lacks: add chat_template.jinja to its folder, or give text"));
      return new TurnEncoder(tokenizer, template);
    } catch (TemplateException e) {
      throw new UserException("--data: the model's chat template fails: " + e.getMessage(), e);
    }
  }

  /** The prompt's ids. */
  int[] prompt(List<Map<String, Object>> before, String where) {
    return tokenizer.encode(render(before, true, where), false);
  }

  /** Prompt and response; the prompt's tokens weigh 0, the response's 1, its end token included. */
  Example encode(TrainedTurn turn, String where) {
    String prompt = render(turn.before(), true, where);
    int[] before = tokenizer.encode(prompt, false);
    int[] after = tokenizer.encode(response(prompt, turn, where), false);
    int[] tokens = Arrays.copyOf(before, before.length + after.length + (end.isPresent() ? 1 : 0));
    System.arraycopy(after, 0, tokens, before.length, after.length);
    end.ifPresent(id -> tokens[tokens.length - 1] = id);
    float[] weights = new float[tokens.length];
    Arrays.fill(weights, before.length, weights.length, 1);
    return new Example(tokens, weights);
  }

  /** What the model is to write behind the prompt, without the end token. */
  private String response(String prompt, TrainedTurn turn, String where) {
    String stripped = prompt.stripTrailing();
    boolean opened = stripped.endsWith(OPEN);
    String gap = opened ? prompt.substring(stripped.length()) : "\n";
    String close = gap.isEmpty() ? CLOSE : "\n" + CLOSE + "\n\n";
    String thought = turn.thought();
    String reply = turn.reply().strip();
    int closed = reply.indexOf(CLOSE);
    if (thought == null && closed >= 0) {
      // of whatever writer: space around the marks is what this model's template has
      thought = reply.substring(reply.startsWith(OPEN) ? OPEN.length() : 0, closed);
      reply = reply.substring(closed + CLOSE.length()).strip();
    }
    if (thought != null) {
      return (opened ? "" : OPEN + "\n") + thought.strip() + close + reply;
    }
    return (opened ? close : emptyThought(prompt, turn, where)) + reply;
  }

  /** What the template itself puts before an answer without a thought: mostly nothing. */
  private String emptyThought(String prompt, TrainedTurn turn, String where) {
    List<Map<String, Object>> whole = new ArrayList<>(turn.before());
    whole.add(TrainedTurn.message("assistant", PROBE));
    String text = render(whole, false, where);
    int at = text.lastIndexOf(PROBE);
    return at >= prompt.length() && text.startsWith(prompt)
        ? text.substring(prompt.length(), at)
        : "";
  }

  /** The id behind an assistant's words in the template, else the tokenizer's end of text. */
  private OptionalInt end() {
    List<Map<String, Object>> messages =
        List.of(TrainedTurn.message("user", "?"), TrainedTurn.message("assistant", PROBE));
    String text = template.prompt(messages, List.of(), false, Map.of());
    int at = text.lastIndexOf(PROBE);
    OptionalInt unknown = token("unk_token");
    if (at >= 0) {
      for (int id : tokenizer.encode(text.substring(at + PROBE.length()), false)) {
        if (tokenizer.isSpecial(id) && !unknown.equals(OptionalInt.of(id))) {
          return OptionalInt.of(id);
        }
      }
    }
    return token("eos_token");
  }

  private OptionalInt token(String name) {
    return tokenizer.config().token(name).map(tokenizer::tokenId).orElseGet(OptionalInt::empty);
  }

  private String render(List<Map<String, Object>> messages, boolean generation, String where) {
    try {
      return template.prompt(messages, List.of(), generation, Map.of());
    } catch (TemplateException e) {
      throw new UserException(where + ": the chat template fails: " + e.getMessage(), e);
    }
  }
}
