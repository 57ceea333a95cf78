package io.tercel.server.text;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How one chat template wants the assistant's earlier tool calls to be given. Published templates
 * differ: most join content to other text and fail on None, R1's shows a call only where content is
 * None; most write arguments out of a dict, some join them to text.
 *
 * @param absentIsNone whether a message that has calls and no content has None for one, not ""
 * @param argumentsAsText whether arguments are given as the text that came, not as a dict
 * @param wrapsBroken whether arguments that are no JSON object are given in a dict, as the value of
 *     {@code arguments}, where others are dicts; else as text
 * @param apart whether content and calls are two messages, one after the other
 */
record HistoryShape(
    boolean absentIsNone, boolean argumentsAsText, boolean wrapsBroken, boolean apart) {

  /** What vLLM gives, and most templates take. */
  static final HistoryShape USUAL = new HistoryShape(false, false, false, false);

  HistoryShape wrappingBroken() {
    return new HistoryShape(absentIsNone, argumentsAsText, true, apart);
  }

  HistoryShape keepingApart() {
    return new HistoryShape(absentIsNone, argumentsAsText, wrapsBroken, true);
  }

  /** The messages in this shape: content is a string or null, arguments a string or a map. */
  List<Map<String, @Nullable Object>> apply(List<? extends Map<String, ?>> messages) {
    List<Map<String, @Nullable Object>> shaped = new ArrayList<>(messages.size());
    for (Map<String, ?> message : messages) {
      String content = message.get("content") instanceof String text ? text : "";
      List<?> calls = calls(message);
      if (calls.isEmpty()) {
        shaped.add(withContent(message, content));
        continue;
      }
      Map<String, @Nullable Object> called = new LinkedHashMap<>(message);
      if (apart && !content.isEmpty()) {
        Map<String, @Nullable Object> said = withContent(message, content);
        said.remove("tool_calls");
        shaped.add(said);
        called.remove("reasoning");
        called.remove("reasoning_content");
        content = "";
      }
      called.put("content", content.isEmpty() && absentIsNone ? null : content);
      called.put("tool_calls", calls.stream().map(this::call).toList());
      shaped.add(called);
    }
    return shaped;
  }

  private static List<?> calls(Map<String, ?> message) {
    return message.get("tool_calls") instanceof List<?> calls ? calls : List.of();
  }

  private static Map<String, @Nullable Object> withContent(Map<String, ?> message, String content) {
    Map<String, @Nullable Object> copy = new LinkedHashMap<>(message);
    copy.put("content", content);
    return copy;
  }

  private Object call(Object call) {
    if (!(call instanceof Map<?, ?> outer && outer.get("function") instanceof Map<?, ?> function)) {
      return call;
    }
    Map<Object, @Nullable Object> inner = new LinkedHashMap<>(function);
    if (function.get("arguments") instanceof ToolArguments arguments) {
      inner.put("arguments", arguments(arguments));
    }
    Map<Object, @Nullable Object> copy = new LinkedHashMap<>(outer);
    copy.put("function", inner);
    return copy;
  }

  private Object arguments(ToolArguments arguments) {
    if (argumentsAsText) {
      return arguments.text();
    }
    Map<String, @Nullable Object> object = arguments.object();
    if (object != null) {
      return object;
    }
    return wrapsBroken ? Map.of("arguments", arguments.text()) : arguments.text();
  }
}
