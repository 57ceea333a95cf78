package io.tercel.server.text;

import io.tercel.server.text.jinja.Template;
import io.tercel.server.text.jinja.TemplateException;
import java.time.ZonedDateTime;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A model's chat template, or its two where it has one of its own for requests with tools: makes
 * the prompt of a list of messages, byte for byte as Hugging Face's {@code apply_chat_template}
 * would.
 *
 * <p>Any number of threads may render at once. Every failure is a {@link TemplateException} of one
 * line; for a request that is a 400.
 */
public final class ChatTemplate {
  private final Variant usual;
  private final Variant withTools;

  private ChatTemplate(Variant usual, Variant withTools) {
    this.usual = usual;
    this.withTools = withTools;
  }

  /**
   * Parses a template.
   *
   * @param specialTokens what the template finds as variables: {@code bos_token}, {@code eos_token}
   *     and the like, without those the model lacks
   * @throws TemplateException if the template is malformed or uses what the interpreter lacks
   */
  public static ChatTemplate parse(String source, Map<String, ?> specialTokens) {
    Variant only = new Variant(source, specialTokens);
    return new ChatTemplate(only, only);
  }

  /**
   * Parses a model's templates.
   *
   * @return empty if it has none
   * @throws TemplateException as {@link #parse}
   */
  public static Optional<ChatTemplate> of(TokenizerConfig config) {
    Optional<String> usual = config.chatTemplate(false);
    Optional<String> withTools = config.chatTemplate(true);
    if (usual.isEmpty() || usual.equals(withTools)) {
      return usual.map(source -> parse(source, config.specialTokens()));
    }
    return Optional.of(
        new ChatTemplate(
            new Variant(usual.get(), config.specialTokens()),
            new Variant(withTools.get(), config.specialTokens())));
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
    Variant variant = variant(tools);
    HistoryShape shape =
        messages.stream().anyMatch(message -> message.get("tool_calls") != null)
            ? variant.shape()
            : HistoryShape.USUAL;
    return variant.render(shape.apply(messages), tools, addGenerationPrompt, kwargs);
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
    return variant(tools).render(messages, tools, addGenerationPrompt, kwargs);
  }

  private Variant variant(List<?> tools) {
    return tools.isEmpty() ? usual : withTools;
  }

  /** One of the templates. */
  private static final class Variant {
    private final Template template;
    private final Map<String, Object> specialTokens;

    /** Found when it is first needed; whoever finds it finds the same. */
    private volatile @Nullable HistoryShape shape;

    Variant(String source, Map<String, ?> specialTokens) {
      this.template = Template.parse(source);
      this.specialTokens = Map.copyOf(specialTokens);
    }

    HistoryShape shape() {
      HistoryShape known = shape;
      if (known == null) {
        known =
            new HistoryShapeProbe((messages, tools) -> render(messages, tools, true, Map.of()))
                .find();
        shape = known;
      }
      return known;
    }

    String render(
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
}
