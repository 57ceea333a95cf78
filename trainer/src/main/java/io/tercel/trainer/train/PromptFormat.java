package io.tercel.trainer.train;

import io.tercel.trainer.problems.Problem;
import java.util.List;
import java.util.Locale;

/** How a conversation becomes text: the chat template, and the same in Java for training. */
public enum PromptFormat {
  /** ChatML with roles; earlier thinking is left out. */
  CHAT(
      "{%- for message in messages -%}"
          + "{%- set content = message['content'] or '' -%}"
          + "{%- if message['role'] == 'assistant' and '</think>' in content -%}"
          + "{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}"
          + "{%- endif -%}"
          + "{{ '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>\\n' }}"
          + "{%- endfor -%}"
          + "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n<think>\\n' }}{%- endif -%}"),
  /** The last user's words and nothing else: short, for long runs of small models. */
  TIGHT(
      "{%- for message in messages -%}{%- if message['role'] == 'user' and loop.last -%}"
          + "{{ message['content'] }}"
          + "{%- endif -%}{%- endfor -%}"
          + "{%- if add_generation_prompt -%}{{ '<think>' }}{%- endif -%}");

  static final String END = "<|im_end|>";

  private final String template;

  PromptFormat(String template) {
    this.template = template;
  }

  static PromptFormat parse(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** In the language of Hugging Face's chat templates. */
  public String template() {
    return template;
  }

  /**
   * The prompt of a conversation, up to where the thinking begins.
   *
   * @param system may be empty
   * @param earlier problems asked and answered before
   */
  public String prompt(String system, List<Problem> earlier, String question) {
    if (this == TIGHT) {
      return question + "<think>";
    }
    StringBuilder text = new StringBuilder();
    if (!system.isEmpty()) {
      turn(text, "system", system);
    }
    for (Problem problem : earlier) {
      turn(text, "user", problem.question());
      turn(text, "assistant", problem.reply());
    }
    turn(text, "user", question);
    return text.append("<|im_start|>assistant\n<think>\n").toString();
  }

  /** The prompt of one question. */
  public String prompt(String question) {
    return prompt("", List.of(), question);
  }

  private static void turn(StringBuilder text, String role, String content) {
    text.append("<|im_start|>").append(role).append('\n').append(content).append(END).append('\n');
  }

  /** What is to follow the prompt, end mark included. */
  public String response(Problem problem) {
    return this == TIGHT
        ? problem.thinking() + "</think>" + problem.reply() + END
        : problem.response() + END;
  }
}
