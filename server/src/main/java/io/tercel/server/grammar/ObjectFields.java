package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What schemas say about an object's properties.
 *
 * @param properties by name, in the order in which they are written
 * @param required names, all among the properties
 * @param others further properties, by what their names are like
 * @param min properties
 * @param max properties, -1 for any number
 */
record ObjectFields(
    Map<String, Conjunction> properties,
    Set<String> required,
    List<Others> others,
    int min,
    int max) {
  /** Each pattern may match a name or not, so there are two to the power of them of names. */
  private static final int MAX_PATTERNS = 4;

  /**
   * Further properties whose names match the same patterns.
   *
   * @param names null for any but those of the other properties
   */
  record Others(@Nullable StringSet names, Conjunction value) {}

  /** Whether a pattern matches a part of a name. */
  @FunctionalInterface
  interface Matcher {
    boolean matches(String pattern, String path, String name);
  }

  /** The schemas that one schema has for a property. */
  static List<Located> schemasOf(Located schema, String name, Matcher matcher) {
    List<Located> all = new ArrayList<>();
    Located own = Conjunction.named(schema, "properties").get(name);
    if (own != null) {
      all.add(own);
    }
    Conjunction.named(schema, "patternProperties")
        .forEach(
            (pattern, its) -> {
              if (matcher.matches(pattern, its.path(), name)) {
                all.add(its);
              }
            });
    Located additional = Conjunction.member(schema, "additionalProperties");
    if (all.isEmpty() && additional != null) {
      all.add(additional);
    }
    return all;
  }

  /** What a property must satisfy. */
  static Conjunction property(Conjunction schemas, String name, Complexity complexity) {
    Conjunction all =
        Conjunction.anything(schemas.source(), schemas.path() + ".properties." + name);
    for (Located part : schemas.parts()) {
      for (Located its :
          schemasOf(
              part,
              name,
              (pattern, path, text) ->
                  CharDfa.of(RegexParser.within(pattern, path), complexity).matches(text))) {
        all = all.isAnything() ? Conjunction.of(its, schemas.source()) : all.and(its);
      }
    }
    return all;
  }

  /**
   * Reads them.
   *
   * @throws GrammarException if a keyword is malformed or takes too much
   */
  static ObjectFields of(Conjunction schemas, Complexity complexity) {
    ObjectNode limits = schemas.limits();
    int min = SchemaValues.count(limits, "minProperties", schemas.path(), 0);
    int max = SchemaValues.count(limits, "maxProperties", schemas.path(), -1);
    StringSet allowed = names(schemas, complexity);
    Set<String> names = new LinkedHashSet<>();
    schemas.parts().forEach(p -> names.addAll(Conjunction.named(p, "properties").keySet()));
    names.addAll(schemas.required());
    Map<String, Conjunction> properties = new LinkedHashMap<>();
    for (String name : names) {
      Conjunction its = property(schemas, name, complexity);
      if (allowed != null && !allowed.contains(name)) {
        its = its.and(nothing(its.path()));
      }
      properties.put(name, its);
    }
    long writable = properties.values().stream().filter(c -> !c.isImpossible()).count();
    boolean isOpen =
        schemas.has("additionalProperties")
            || (properties.isEmpty() && !schemas.has("patternProperties"))
            || writable < min;
    List<Others> others = others(schemas, names, allowed, isOpen, complexity);
    return new ObjectFields(properties, schemas.required(), others, min, max);
  }

  private static Located nothing(String path) {
    return new Located(JsonNodeFactory.instance.booleanNode(false), "", path);
  }

  /** What propertyNames says; null if nothing. */
  private static @Nullable StringSet names(Conjunction schemas, Complexity complexity) {
    Conjunction all = Conjunction.anything(schemas.source(), schemas.path() + ".propertyNames");
    boolean says = false;
    for (Located part : schemas.parts()) {
      Located its = Conjunction.member(part, "propertyNames");
      if (its != null) {
        all = all.and(its);
        says = true;
      }
    }
    if (!says) {
      return null;
    }
    return StringSet.ofNames(all, complexity);
  }

  private static List<Others> others(
      Conjunction schemas,
      Set<String> names,
      @Nullable StringSet allowed,
      boolean isOpen,
      Complexity complexity) {
    Map<String, CharDfa> patterns = new LinkedHashMap<>();
    for (Located part : schemas.parts()) {
      Conjunction.named(part, "patternProperties")
          .forEach(
              (pattern, its) ->
                  patterns.computeIfAbsent(
                      pattern, p -> CharDfa.of(RegexParser.within(p, its.path()), complexity)));
    }
    if (patterns.size() > MAX_PATTERNS) {
      throw new GrammarException(
          schemas.path() + ".patternProperties",
          "has more than %d patterns".formatted(MAX_PATTERNS));
    }
    List<Others> all = new ArrayList<>();
    for (int matched = 0; matched < 1 << patterns.size(); matched++) {
      if (matched == 0 && !isOpen) {
        continue;
      }
      Conjunction value = value(schemas, List.copyOf(patterns.keySet()), matched);
      if (value.isImpossible()) {
        continue;
      }
      if (patterns.isEmpty() && allowed == null) {
        all.add(new Others(null, value));
        continue;
      }
      CharDfa texts = allowed == null ? CharDfa.all(complexity) : allowed.texts(complexity);
      int bit = 1;
      for (CharDfa pattern : patterns.values()) {
        texts = (matched & bit) != 0 ? texts.and(pattern) : texts.minus(pattern);
        bit <<= 1;
      }
      StringSet its =
          new StringSet(
                  texts, allowed == null ? 0 : allowed.min(), allowed == null ? -1 : allowed.max())
              .without(names, complexity);
      if (!its.isEmpty()) {
        all.add(new Others(its, value));
      }
    }
    return all;
  }

  /** What properties satisfy whose names match some of the patterns, and no others. */
  private static Conjunction value(Conjunction schemas, List<String> patterns, int matched) {
    Conjunction all =
        Conjunction.anything(
            schemas.source(),
            schemas.path() + (matched == 0 ? ".additionalProperties" : ".patternProperties"));
    for (Located part : schemas.parts()) {
      for (Located its :
          schemasOf(
              part, "\0", (pattern, _, _) -> (matched >> patterns.indexOf(pattern) & 1) != 0)) {
        all = all.and(its);
      }
    }
    return all;
  }

  /** The property that each such object begins with, or null. */
  Map.@Nullable Entry<String, Conjunction> first() {
    Map.Entry<String, Conjunction> first =
        properties.isEmpty() ? null : properties.entrySet().iterator().next();
    return first != null && required.contains(first.getKey()) ? first : null;
  }
}
