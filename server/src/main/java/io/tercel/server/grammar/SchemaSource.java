package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A schema's whole document: what references within it lead to, by path, {@code $id} or anchor. */
final class SchemaSource {
  /** Hold values, in which an {@code $id} names nothing. */
  private static final Set<String> VALUES =
      Set.of("const", "enum", "default", "example", "examples");

  private final Located root;
  private final Map<String, Located> named = new HashMap<>();

  SchemaSource(JsonNode root, String path) {
    this.root = new Located(root, baseWithin(root, ""), path);
    named.put("", new Located(root, "", path));
    name(this.root);
  }

  Located root() {
    return root;
  }

  private void name(Located at) {
    if (at.schema().isObject()) {
      JsonNode id = at.schema().path("$id");
      if (id.isTextual()) {
        named.putIfAbsent(at.base(), at);
      }
      for (String keyword : new String[] {"$anchor", "$dynamicAnchor"}) {
        JsonNode anchor = at.schema().path(keyword);
        if (anchor.isTextual()) {
          named.putIfAbsent(at.base() + "#" + anchor.textValue(), at);
        }
      }
    }
    if (at.schema().isArray()) {
      for (int i = 0; i < at.schema().size(); i++) {
        name(at.child(at.schema().get(i), "[" + i + "]"));
      }
    }
    for (Map.Entry<String, JsonNode> entry : at.schema().properties()) {
      if (!VALUES.contains(entry.getKey())) {
        name(at.child(entry.getValue(), "." + entry.getKey()));
      }
    }
  }

  /** What references in a schema are relative to. */
  static String baseWithin(JsonNode schema, String outer) {
    JsonNode id = schema.path("$id");
    if (!id.isTextual()) {
      return outer;
    }
    String name = id.textValue();
    int fragment = name.indexOf('#');
    return join(outer, fragment < 0 ? name : name.substring(0, fragment));
  }

  private static String join(String base, String reference) {
    try {
      URI relative = URI.create(reference);
      return base.isEmpty() || relative.isAbsolute()
          ? reference
          : URI.create(base).resolve(relative).toString();
    } catch (IllegalArgumentException e) {
      return reference; // names nothing but itself
    }
  }

  /**
   * The schema that a schema's {@code $ref} leads to.
   *
   * @throws GrammarException if it is not within the document
   */
  Located resolve(Located from) {
    String path = from.path() + ".$ref";
    JsonNode reference = from.schema().path("$ref");
    if (!reference.isTextual()) {
      throw new GrammarException(path, "must be a string");
    }
    String text = reference.textValue();
    int hash = text.indexOf('#');
    String document = hash < 0 ? text : text.substring(0, hash);
    String fragment = hash < 0 ? "" : text.substring(hash + 1);
    String base = document.isEmpty() ? from.base() : join(from.base(), document);
    if (!fragment.isEmpty() && !fragment.startsWith("/")) {
      return found(named.get(base + "#" + fragment), path);
    }
    Located at = found(named.get(base), path);
    if (fragment.isEmpty()) {
      return at;
    }
    for (String raw : fragment.substring(1).split("/", -1)) {
      String part = unescape(raw, path);
      JsonNode schema = at.schema();
      JsonNode next =
          schema.isArray() && part.matches("[0-9]{1,6}")
              ? schema.path(Integer.parseInt(part))
              : schema.path(part);
      at = at.child(next, schema.isArray() ? "[" + part + "]" : "." + part);
    }
    return found(at.schema().isMissingNode() ? null : at, path);
  }

  private static Located found(@Nullable Located target, String path) {
    if (target == null) {
      throw new GrammarException(
          path, "must lead to a schema within this one, such as #/$defs/a does");
    }
    return target;
  }

  private static String unescape(String part, String path) {
    try {
      String decoded = URLDecoder.decode(part.replace("+", "%2B"), StandardCharsets.UTF_8);
      return decoded.replace("~1", "/").replace("~0", "~");
    } catch (IllegalArgumentException e) {
      throw new GrammarException(path, "is no reference");
    }
  }
}
