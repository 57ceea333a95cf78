package io.tercel.server.request;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.model.ServedModel;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.jinja.TemplateException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** A chat request's conversation, rendered. */
public final class ChatPrompt {
  private static final Set<String> EFFORTS =
      Set.of("none", "minimal", "low", "medium", "high", "xhigh");

  private static final String CONTINUE = "continue_final_message";

  private ChatPrompt() {}

  /**
   * The prompt that a request asks for.
   *
   * @param truncation what is left out of it
   * @param answer tokens that may follow it, as far as the request says; else below 1
   * @throws ApiException as {@link #render}, or if no context could hold it
   */
  public static int[] tokens(
      RequestFields fields, Truncation truncation, int answer, ServedModel model) {
    String text = render(fields, model.chatTemplate());
    CommonFields.checkBytes("messages", text, truncation, model);
    int[] tokens = model.tokenizer().encode(text, fields.bool("add_special_tokens", false));
    return truncation.of(tokens, answer, model);
  }

  /**
   * Renders the prompt that a request asks for.
   *
   * @throws ApiException if a field is wrong, or the template refuses
   */
  public static String render(RequestFields fields, @Nullable ChatTemplate template) {
    List<Map<String, @Nullable Object>> messages = MessageReader.messages(fields);
    List<Map<String, @Nullable Object>> tools = MessageReader.offeredTools(fields);
    boolean generation = fields.bool("add_generation_prompt", true);
    boolean continues = fields.bool(CONTINUE, false);
    if (continues && generation) {
      throw ApiException.invalid(
          CONTINUE,
          CONTINUE
              + " and add_generation_prompt can't both be true; the latter is by"
              + " default");
    }
    Map<String, @Nullable Object> kwargs = kwargs(fields);
    if (template == null) {
      throw ApiException.unsupported("messages", "This model has no chat template.");
    }
    String marker = continues ? markEnd(messages.getLast()) : "";
    String prompt;
    try {
      prompt = template.prompt(messages, tools, generation, kwargs);
    } catch (TemplateException e) {
      throw ApiException.invalid("messages", String.valueOf(e.getMessage()));
    }
    return continues ? cut(prompt, marker) : prompt;
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

  /**
   * Puts a marker behind the last message's content: where it comes out, the content ends. To look
   * for the content itself would find short ones within what the template writes.
   */
  private static String markEnd(Map<String, @Nullable Object> last) {
    if (last.containsKey("tool_calls")) {
      throw ApiException.invalid(
          CONTINUE, CONTINUE + " needs a last message that ends in content, not in tool_calls");
    }
    String content = last.get("content") instanceof String text ? text : "";
    // letters and digits only, which templates pass on; random, so that no message can have it
    String marker = "end" + UUID.randomUUID().toString().replace("-", "");
    last.put("content", content + marker);
    return marker;
  }

  private static String cut(String prompt, String marker) {
    int end = prompt.lastIndexOf(marker);
    if (end < 0) {
      throw ApiException.invalid(
          CONTINUE, CONTINUE + " needs a last message whose content the template keeps");
    }
    return prompt.substring(0, end);
  }
}
