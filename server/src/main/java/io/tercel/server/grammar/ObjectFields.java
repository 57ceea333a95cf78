package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a schema says about an object's properties.
 *
 * @param properties by name, in the order in which they are written
 * @param required names, all among the properties
 * @param others the schema of further properties; false for none
 */
record ObjectFields(Map<String, JsonNode> properties, Set<String> required, JsonNode others) {

  /**
   * Reads them.
   *
   * @throws GrammarException if a keyword is malformed
   */
  static ObjectFields of(ObjectNode schema, String path) {
    Map<String, JsonNode> properties = new LinkedHashMap<>();
    JsonNode given = schema.get("properties");
    if (given != null) {
      if (!given.isObject()) {
        throw new GrammarException(path + ".properties", "must be an object of schemas");
      }
      given.properties().forEach(e -> properties.put(e.getKey(), e.getValue()));
    }
    JsonNode additional = schema.get("additionalProperties");
    JsonNode anything = JsonNodeFactory.instance.booleanNode(true);
    Set<String> required = new HashSet<>();
    JsonNode names = schema.get("required");
    for (JsonNode name : names == null ? List.<JsonNode>of() : names) {
      if (!name.isTextual()) {
        throw new GrammarException(path + ".required", "must be an array of strings");
      }
      required.add(name.textValue());
      properties.putIfAbsent(name.textValue(), additional == null ? anything : additional);
    }
    boolean isOpen = additional == null && properties.isEmpty();
    JsonNode closed = JsonNodeFactory.instance.booleanNode(isOpen);
    return new ObjectFields(properties, required, additional == null ? closed : additional);
  }

  /** The property that each such object begins with, or null. */
  Map.@Nullable Entry<String, JsonNode> first() {
    Map.Entry<String, JsonNode> first =
        properties.isEmpty() ? null : properties.entrySet().iterator().next();
    return first != null && required.contains(first.getKey()) ? first : null;
  }
}
