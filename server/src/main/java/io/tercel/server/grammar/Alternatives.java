package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What schemas leave to choose, put apart: for each keyword that is an or, conjunctions of which
 * one must hold. They are made one keyword at a time.
 */
final class Alternatives {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /** How deep a look goes into required properties for what rules an alternative out. */
  private static final int DEPTH = 2;

  private final ValueCheck check;
  private final Grammar.Builder builder;

  /** Whether what satisfies another alternative of a oneOf is kept out where that can be. */
  private final boolean exclusive;

  Alternatives(ValueCheck check, Grammar.Builder builder, boolean exclusive) {
    this.check = check;
    this.builder = builder;
    this.exclusive = exclusive;
  }

  /**
   * A choice.
   *
   * @param members none of which is obviously empty
   * @param isNarrowed whether more than the alternatives themselves decides what is left of them
   * @param path of the keyword
   */
  record Choice(List<Conjunction> members, boolean isNarrowed, String path) {}

  /** The next choice to make; null if there is none. */
  @Nullable Choice next(Conjunction schemas) {
    for (Located part : schemas.parts()) {
      ObjectNode rest = ((ObjectNode) part.schema()).deepCopy();
      List<Conjunction> members = null;
      String keyword = "not";
      boolean isNarrowed = true;
      if (rest.has("anyOf") || rest.has("oneOf")) {
        keyword = rest.has("anyOf") ? "anyOf" : "oneOf";
        rest.remove(keyword);
        Conjunction others = schemas.replace(part, rest);
        isNarrowed = !others.isAnything();
        members =
            keyword.equals("anyOf")
                ? any(others, Conjunction.members(part, keyword))
                : one(others, Conjunction.members(part, keyword));
        isNarrowed |= !members.equals(any(others, Conjunction.members(part, keyword)));
      } else if (rest.has("if")) {
        keyword = "if";
        rest.remove(Set.of("if", "then", "else"));
        members = condition(schemas.replace(part, rest), part);
      } else if (rest.has("dependentRequired")
          || rest.has("dependentSchemas")
          || rest.has("dependencies")) {
        keyword = "dependentSchemas";
        members = dependents(schemas, part, rest);
      } else if (rest.has("not") && !Negation.isOfStrings(rest) && !Negation.isOfFractions(rest)) {
        Located not = Conjunction.member(part, "not");
        rest.remove("not");
        if (not != null) {
          members = without(schemas.replace(part, rest), not);
        }
      }
      if (members != null) {
        return new Choice(
            isNarrowed ? possible(members) : members, isNarrowed, part.path() + "." + keyword);
      }
    }
    return null;
  }

  private List<Conjunction> any(Conjunction others, List<Located> members) {
    return members.stream().map(m -> others.and(m).at(m.path())).toList();
  }

  private List<Conjunction> one(Conjunction others, List<Located> members) {
    List<Conjunction> all = new ArrayList<>();
    for (Located member : members) {
      Conjunction its = exclusive ? typed(others.and(member)) : others.and(member);
      its = its.at(member.path());
      List<Located> overlapping = new ArrayList<>();
      for (Located other : members) {
        boolean apart = other.path().equals(member.path()) || !exclusive;
        if (!apart && !isEmpty(its.and(other), DEPTH)) {
          overlapping.add(other);
        }
      }
      all.addAll(overlapping.isEmpty() ? List.of(its) : apart(its, overlapping));
    }
    return all;
  }

  /** An alternative without what satisfies others, but those of which rules can't say it. */
  private List<Conjunction> apart(Conjunction its, List<Located> others) {
    List<Conjunction> all = List.of(its);
    for (Located other : others) {
      Conjunction same = Conjunction.of(other, its.source());
      if (!same.isImpossible() && its.parts().containsAll(same.parts())) {
        return List.of();
      }
      List<Conjunction> left =
          all.stream().flatMap(c -> possible(without(c, other)).stream()).toList();
      if (!left.isEmpty() || Collections.disjoint(new Negation(other).lost(), its.types())) {
        all = left;
      }
    }
    return all;
  }

  /** The schemas with the type that is written. */
  private static Conjunction typed(Conjunction schemas) {
    Set<String> types = schemas.types();
    if (types.isEmpty() || schemas.namedTypes() != null) {
      return schemas;
    }
    ObjectNode type = NODES.objectNode().put("type", types.iterator().next());
    return schemas.and(new Located(type, "", schemas.path()));
  }

  private List<Conjunction> condition(Conjunction others, Located part) {
    Located condition = part.child(part.schema().path("if"), ".if");
    Located then = Conjunction.member(part, "then");
    Located otherwise = Conjunction.member(part, "else");
    Conjunction met = others.and(condition);
    List<Conjunction> all = new ArrayList<>();
    all.add(then == null ? met : met.and(then));
    Conjunction notMet = otherwise == null ? others : others.and(otherwise);
    all.addAll(without(notMet, condition));
    return all;
  }

  /** What satisfies the schemas, and not that one. */
  private List<Conjunction> without(Conjunction schemas, Located forbidden) {
    List<Conjunction> all = new ArrayList<>();
    for (Located way : new Negation(forbidden).ways()) {
      builder.work(16L * schemas.size());
      if (!introduces(schemas, way)) {
        all.add(schemas.and(way));
      }
    }
    return all;
  }

  /**
   * Whether a way to break a schema would write a property that objects, as they are otherwise
   * written, don't have.
   */
  private static boolean introduces(Conjunction schemas, Located way) {
    if (!schemas.has("properties") || schemas.has("additionalProperties")) {
      return false;
    }
    for (JsonNode name : way.schema().path("required")) {
      boolean isNamed =
          schemas.required().contains(name.asText())
              || schemas.has("patternProperties")
              || schemas.parts().stream()
                  .anyMatch(p -> p.schema().path("properties").has(name.asText()));
      if (!isNamed) {
        return true;
      }
    }
    return false;
  }

  private List<Conjunction> dependents(Conjunction schemas, Located part, ObjectNode rest) {
    for (String keyword : new String[] {"dependentRequired", "dependentSchemas", "dependencies"}) {
      JsonNode all = rest.get(keyword);
      if (all == null) {
        continue;
      }
      if (!(all instanceof ObjectNode names) || names.isEmpty()) {
        if (!all.isObject()) {
          throw new GrammarException(part.path() + "." + keyword, "must be an object");
        }
        rest.remove(keyword);
        return List.of(schemas.replace(part, rest));
      }
      Map.Entry<String, JsonNode> first = names.properties().iterator().next();
      names.remove(first.getKey());
      Conjunction others = schemas.replace(part, rest);
      ObjectNode has = NODES.objectNode().put("type", "object");
      ArrayNode required = has.putArray("required").add(first.getKey());
      ObjectNode lacks = NODES.objectNode();
      lacks.putObject("properties").put(first.getKey(), false);
      JsonNode its = first.getValue();
      Conjunction having;
      if (its.isArray()) {
        its.forEach(required::add);
        having = others.and(part.with(has));
      } else {
        String path = ".%s.%s".formatted(keyword, first.getKey());
        having = others.and(part.with(has)).and(part.child(its, path));
      }
      return List.of(having, others.and(part.with(lacks)));
    }
    throw new IllegalStateException();
  }

  private List<Conjunction> possible(List<Conjunction> all) {
    return all.stream().filter(c -> !isEmpty(c, DEPTH)).toList();
  }

  /** Whether a short look shows that nothing satisfies the schemas. */
  boolean isEmpty(Conjunction schemas, int depth) {
    builder.work(16L * schemas.size());
    Set<String> types = schemas.namedTypes();
    if (schemas.isImpossible() || (types != null && types.isEmpty())) {
      return true;
    }
    List<JsonNode> values = schemas.values();
    if (values != null) {
      Conjunction rest = schemas.withoutValues();
      return values.stream().noneMatch(v -> check.satisfies(v, rest));
    }
    if (depth == 0 || types == null || !types.equals(Set.of("object"))) {
      return false;
    }
    for (String name : schemas.required()) {
      if (isEmpty(ObjectFields.property(schemas, name, builder.complexity()), depth - 1)) {
        return true;
      }
    }
    return false;
  }
}
