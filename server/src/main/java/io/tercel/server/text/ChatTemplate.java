package io.tercel.server.text;

import io.tercel.server.text.jinja.Template;
import io.tercel.server.text.jinja.TemplateException;
import java.time.ZonedDateTime;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A model's chat template: makes the prompt of a list of messages, byte for byte as Hugging Face's
 * {@code apply_chat_template} would.
 *
 * <p>Immutable; any number of threads may render at once. Every failure is a {@link
 * TemplateException} of one line; for a request that is a 400.
 */
public final class ChatTemplate {
  private final Template template;
  private final Map<String, Object> specialTokens;

  /** Found when it is first needed; whoever finds it finds the same. */
  private volatile @Nullable HistoryShape shape;

  private ChatTemplate(Template template, Map<String, Object> specialTokens) {
    this.template = template;
    this.specialTokens = specialTokens;
  }

  /**
   * Parses a template.
   *
   * @param specialTokens what the template finds as variables: {@code bos_token}, {@code eos_token}
   *     and the like, without those the model lacks
   * @throws TemplateException if the template is malformed or uses what the interpreter lacks
   */
  public static ChatTemplate parse(String source, Map<String, ?> specialTokens) {
    return new ChatTemplate(Template.parse(source), Map.copyOf(specialTokens));
  }

  /**
   * The prompt for a conversation of a request, whose tool calls are given in the shape that this
   * template shows.
   *
   * @param messages with content as a string, or null where there is none, and the arguments of
   *     calls as {@link ToolArguments}; all else as for {@link #render}
   * @throws TemplateException as {@link #render}
   */
  public String prompt(
      List<? extends Map<String, ?>> messages,
      List<?> tools,
      boolean addGenerationPrompt,
      Map<String, ? extends @Nullable Object> kwargs) {
    HistoryShape known =
        messages.stream().anyMatch(m -> m.get("tool_calls") != null) ? shape() : HistoryShape.USUAL;
    return render(known.apply(messages), tools, addGenerationPrompt, kwargs);
  }

  private HistoryShape shape() {
    HistoryShape known = shape;
    if (known == null) {
      known =
          new HistoryShapeProbe((messages, tools) -> render(messages, tools, true, Map.of()))
              .find();
      shape = known;
    }
    return known;
  }

  /**
   * The prompt for messages exactly as they are.
   *
   * @param messages as JSON gives them: maps of strings, numbers, booleans, null, lists and maps
   * @param tools the tools' schemas; empty is none, which templates see as {@code none}
   * @param addGenerationPrompt whether the prompt ends where the assistant's answer begins
   * @param kwargs the request's {@code chat_template_kwargs}; they win over the special tokens
   * @throws TemplateException if the template refuses the conversation, or does not end
   */
  public String render(
      List<? extends Map<String, ?>> messages,
      List<?> tools,
      boolean addGenerationPrompt,
      Map<String, ? extends @Nullable Object> kwargs) {
    Map<String, @Nullable Object> variables = new HashMap<>(specialTokens);
    variables.put("documents", null);
    variables.putAll(kwargs);
    variables.put("messages", messages);
    variables.put("tools", tools.isEmpty() ? null : tools);
    variables.put("add_generation_prompt", addGenerationPrompt);
    return template.render(variables, ZonedDateTime::now);
  }
}
