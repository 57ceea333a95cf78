package io.tercel.server.text;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of a tool call in a conversation, in both the kinds that chat templates ask for.
 *
 * @param text as they came: JSON, unless the model that wrote them broke off or erred
 * @param object what the text says; null where it is no JSON object
 */
public record ToolArguments(String text, @Nullable Map<String, @Nullable Object> object) {

  public ToolArguments {
    // order and nulls matter to templates, so no Map.copyOf
    object = object == null ? null : Collections.unmodifiableMap(new LinkedHashMap<>(object));
  }
}
