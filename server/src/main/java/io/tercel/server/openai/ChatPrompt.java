package io.tercel.server.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.jinja.TemplateException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A chat request's conversation, rendered. */
final class ChatPrompt {
  private static final Set<String> EFFORTS =
      Set.of("none", "minimal", "low", "medium", "high", "xhigh");

  private ChatPrompt() {}

  /**
   * Renders the prompt that a request asks for.
   *
   * @throws ApiException if a field is wrong, or the template refuses
   */
  static String render(RequestFields fields, @Nullable ChatTemplate template) {
    List<Map<String, @Nullable Object>> messages = MessageReader.messages(fields);
    List<Map<String, @Nullable Object>> tools = MessageReader.offeredTools(fields);
    boolean generation = fields.bool("add_generation_prompt", true);
    boolean continues = fields.bool("continue_final_message", false);
    if (continues && generation) {
      throw ApiException.invalid(
          "continue_final_message",
          "continue_final_message and add_generation_prompt can't both be true; the latter is by"
              + " default");
    }
    Map<String, @Nullable Object> kwargs = kwargs(fields);
    if (template == null) {
      throw ApiException.unsupported("messages", "This model has no chat template.");
    }
    String prompt;
    try {
      prompt = template.prompt(messages, tools, generation, kwargs);
    } catch (TemplateException e) {
      throw ApiException.invalid("messages", String.valueOf(e.getMessage()));
    }
    return continues ? cutAfterFinal(prompt, messages.getLast()) : prompt;
  }

  private static Map<String, @Nullable Object> kwargs(RequestFields fields) {
    Map<String, @Nullable Object> kwargs = new HashMap<>();
    String effort = fields.string("reasoning_effort");
    if (effort != null) {
      if (!EFFORTS.contains(effort)) {
        throw ApiException.invalid(
            "reasoning_effort",
            "reasoning_effort must be none, minimal, low, medium, high or xhigh, not '%s'"
                .formatted(effort.length() > 40 ? effort.substring(0, 40) + "…" : effort));
      }
      kwargs.put("reasoning_effort", effort);
      if (effort.equals("none")) {
        kwargs.put("enable_thinking", false);
      }
    }
    JsonNode given = fields.get("chat_template_kwargs");
    if (given != null) {
      RequestFields.of(given, "chat_template_kwargs");
      kwargs.putAll(MessageReader.toMap(given));
    }
    return kwargs;
  }

  /** The prompt without what the template writes behind the last message, as Transformers cuts. */
  private static String cutAfterFinal(String prompt, Map<String, @Nullable Object> last) {
    String content = last.get("content") instanceof String text ? text : "";
    int start = content.isBlank() ? -1 : prompt.lastIndexOf(content.strip());
    if (start < 0) {
      throw ApiException.invalid(
          "continue_final_message",
          "continue_final_message needs a last message whose content the template keeps");
    }
    String exact = content.stripLeading();
    return prompt.substring(
        0, start + (prompt.startsWith(exact, start) ? exact : content.strip()).length());
  }
}
