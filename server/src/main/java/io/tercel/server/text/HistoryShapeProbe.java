package io.tercel.server.text;

import io.tercel.server.text.jinja.TemplateException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Finds the shape that a template wants by rendering small conversations in several and looking for
 * the call in its text. What a template does not say cannot be read out of it otherwise: the same
 * line that fails on None in one template is guarded in the next.
 */
final class HistoryShapeProbe {
  private static final String NAME = "probed_function";
  private static final String KEY = "probed_key";
  private static final String VALUE = "probed value";
  private static final String SAID = "Probed words.";
  private static final ToolArguments WHOLE =
      new ToolArguments("{\"" + KEY + "\": \"" + VALUE + "\"}", Map.of(KEY, VALUE));
  private static final ToolArguments BROKEN = new ToolArguments("{\"" + KEY + "\": \"pro", null);

  /** In the order in which they are tried. */
  private static final List<HistoryShape> SHAPES =
      List.of(
          HistoryShape.USUAL,
          new HistoryShape(true, false, false, false),
          new HistoryShape(false, true, false, false),
          new HistoryShape(true, true, false, false));

  /** Renders messages, given as templates see them. */
  interface Renderer {
    /** The text of the conversation with these tools. */
    String render(List<Map<String, @Nullable Object>> messages, List<?> tools);
  }

  private final Renderer renderer;

  HistoryShapeProbe(Renderer renderer) {
    this.renderer = renderer;
  }

  /** The shape whose text shows calls best; the usual one where none shows any. */
  HistoryShape find() {
    HistoryShape shape = first(SHAPES, HistoryShapeProbe::showsWell);
    if (shape == null) {
      shape = first(SHAPES, HistoryShapeProbe::shows);
    }
    if (shape == null) {
      return HistoryShape.USUAL;
    }
    Predicate<String> showsBoth = text -> shows(text) && text.contains(SAID);
    if (!fits(shape, SAID, WHOLE, showsBoth)
        && fits(shape.keepingApart(), SAID, WHOLE, showsBoth)) {
      shape = shape.keepingApart();
    }
    Predicate<String> showsBroken = text -> text.contains(NAME) && text.contains("pro");
    if (!fits(shape, null, BROKEN, showsBroken)
        && fits(shape.wrappingBroken(), null, BROKEN, showsBroken)) {
      shape = shape.wrappingBroken();
    }
    return shape;
  }

  private @Nullable HistoryShape first(List<HistoryShape> shapes, Predicate<String> good) {
    for (HistoryShape shape : shapes) {
      if (fits(shape, null, WHOLE, good)) {
        return shape;
      }
    }
    return null;
  }

  private boolean fits(
      HistoryShape shape,
      @Nullable String content,
      ToolArguments arguments,
      Predicate<String> good) {
    try {
      return good.test(
          renderer.render(shape.apply(conversation(content, arguments)), List.of(tool())));
    } catch (TemplateException e) {
      return false;
    }
  }

  private static boolean shows(String text) {
    return text.contains(NAME) && text.contains(KEY) && text.contains(VALUE);
  }

  /** Neither as Python prints a dict nor as JSON within JSON. */
  private static boolean showsWell(String text) {
    return shows(text) && !text.contains("'" + KEY + "'") && !text.contains(KEY + "\\\"");
  }

  private static List<Map<String, @Nullable Object>> conversation(
      @Nullable String content, ToolArguments arguments) {
    String id = "callprobe"; // nine letters and digits, which Mistral's templates insist on
    Map<String, @Nullable Object> call = new LinkedHashMap<>();
    call.put("role", "assistant");
    call.put("content", content);
    call.put(
        "tool_calls",
        List.of(
            Map.of(
                "id",
                id,
                "type",
                "function",
                "function",
                Map.of("name", NAME, "arguments", arguments))));
    return List.of(
        new LinkedHashMap<>(Map.of("role", "user", "content", "A question.")),
        call,
        new LinkedHashMap<>(
            Map.of("role", "tool", "tool_call_id", id, "name", NAME, "content", "A result.")));
  }

  /** Another function than the one that is called, so that its name is found in the call alone. */
  private static Map<String, Object> tool() {
    return Map.of(
        "type",
        "function",
        "function",
        Map.of(
            "name",
            "other",
            "description",
            "Another function.",
            "parameters",
            Map.of("type", "object", "properties", Map.of())));
  }
}
