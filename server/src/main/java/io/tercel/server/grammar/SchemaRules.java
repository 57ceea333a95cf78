package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The rules of one JSON Schema. Each property's and item's schema becomes a rule of its own, so a
 * schema may refer to itself; alternatives are written into the rule that has them, so that they
 * are told apart byte by byte.
 *
 * <p>What the rules say always satisfies the schema. They say less than it allows in a few places,
 * which {@code docs/structured-outputs.md} lists.
 */
final class SchemaRules {
  private static final int MAX_NESTING = 64;
  private static final int MAX_SIZE = 20_000;

  /** A larger maxItems counts as this one, as each item has nodes of its own. */
  private static final int MAX_ITEMS = 2048;

  /** Beyond so many other properties a larger maxProperties counts as this one. */
  private static final int MAX_OTHERS = 64;

  private final Grammar.Builder builder;
  private final JsonRules json;
  private final Unions unions;
  private final SchemaSource source;
  private final ValueCheck check;
  private final Alternatives alternatives;
  private final Map<Subject, Integer> rules = new HashMap<>();
  private final Deque<Pending> pending = new ArrayDeque<>();
  private int nesting;

  /**
   * How many of the schemas being written are alternatives that other keywords may have emptied.
   */
  private int narrowed;

  /** How objects that are alternatives are told apart. */
  enum Unions {
    /** Byte by byte, in the rule that has the union: a text has one place, mostly. */
    INLINE,
    /**
     * By a first property of one or a few given values, behind which a rule goes on that all unions
     * share; objects without one are rules of their own, followed side by side.
     */
    SHARED,
    /** So too, and what satisfies several alternatives of a oneOf is not kept out. */
    OVERLAPPING
  }

  /** What a rule reads: a schema's whole text, or an object's behind its first property. */
  private record Subject(Conjunction schemas, boolean isTail) {}

  private record Pending(int rule, Subject subject, boolean isNarrowed) {}

  /**
   * @param unions how to write them; all ways but the last have the same texts, until those of more
   *     than {@link TokenAutomaton#MAX_PLACES} readings
   * @param root what references start from
   * @param path of the root
   */
  SchemaRules(Grammar.Builder builder, JsonRules json, Unions unions, JsonNode root, String path) {
    if (SchemaValues.size(root) > MAX_SIZE) {
      throw new GrammarException(path, "has more than %d values and names".formatted(MAX_SIZE));
    }
    this.builder = builder;
    this.json = json;
    this.unions = unions;
    this.source = new SchemaSource(root, path);
    this.check = new ValueCheck(source, builder.complexity());
    this.alternatives = new Alternatives(check, builder, unions != Unions.OVERLAPPING);
  }

  /** Writes the rules that were named. */
  void finish() {
    while (!pending.isEmpty()) {
      Pending next = pending.remove();
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      narrowed = next.isNarrowed() ? 1 : 0;
      Conjunction schemas = next.subject().schemas();
      int end = next.subject().isTail() ? tail(nfa, start, schemas) : write(nfa, start, schemas);
      builder.define(next.rule(), nfa, start, end);
    }
    narrowed = 0;
  }

  /** Reads a text by a rule of its own. */
  private int call(Nfa nfa, int from, Conjunction schemas) {
    return schemas.isAnything()
        ? json.value(nfa, from)
        : call(nfa, from, new Subject(schemas, false));
  }

  private int call(Nfa nfa, int from, Subject subject) {
    builder.work(subject.schemas().size()); // to compare it
    Integer rule = rules.get(subject);
    if (rule == null) {
      rule = builder.declare();
      rules.put(subject, rule);
      pending.add(new Pending(rule, subject, narrowed > 0));
    }
    int to = nfa.node();
    nfa.call(from, rule, to);
    return to;
  }

  /** Writes the root's text from a node on; returns where it ends. */
  int write(Nfa nfa, int from) {
    return write(nfa, from, Conjunction.of(source.root(), source));
  }

  /** Writes the root's objects alone. */
  int writeObjects(Nfa nfa, int from) {
    ObjectNode objects = JsonNodeFactory.instance.objectNode().put("type", "object");
    Located type = source.root().with(objects);
    return write(nfa, from, Conjunction.of(source.root(), source).and(type));
  }

  private int write(Nfa nfa, int from, Conjunction schemas) {
    if (schemas.isImpossible()) {
      return nfa.node();
    }
    if (++nesting > MAX_NESTING) {
      throw new GrammarException(
          schemas.path(), "refers to itself with nothing in between, or nests too deep");
    }
    builder.work(schemas.size());
    int end;
    List<JsonNode> values = schemas.values();
    Alternatives.Choice choice = values == null ? alternatives.next(schemas) : null;
    if (values != null) {
      end = values(nfa, from, schemas, values);
    } else if (choice != null) {
      end = choice(nfa, from, choice);
    } else {
      end = schemas.isAnything() ? json.value(nfa, from) : plain(nfa, from, schemas);
    }
    nesting--;
    return end;
  }

  private int choice(Nfa nfa, int from, Alternatives.Choice choice) {
    if (choice.members().isEmpty()) {
      return nothing(nfa, choice.path(), "leaves no value");
    }
    builder.complexity().alternatives(choice.members().size());
    int to = nfa.node();
    narrowed += choice.isNarrowed() ? 1 : 0;
    for (Conjunction member : choice.members()) {
      int begin = nfa.node();
      nfa.epsilon(from, begin);
      nfa.epsilon(alternative(nfa, begin, member), to);
    }
    narrowed -= choice.isNarrowed() ? 1 : 0;
    return to;
  }

  private int alternative(Nfa nfa, int from, Conjunction schemas) {
    boolean isObject = unions != Unions.INLINE && schemas.types().equals(Set.of("object"));
    for (String keyword :
        List.of("enum", "const", "minProperties", "maxProperties", "propertyNames")) {
      isObject &= !schemas.has(keyword);
    }
    if (!isObject || alternatives.next(schemas) != null) {
      return write(nfa, from, schemas);
    }
    ObjectFields fields = ObjectFields.of(schemas, builder.complexity());
    Map.Entry<String, Conjunction> first = fields.first();
    if (first == null || first.getValue().values() == null) {
      return call(nfa, from, new Subject(schemas, false));
    }
    ObjectRule head = new ObjectRule(json, nfa, from, 0, -1);
    head.property(first.getKey(), true, n -> write(nfa, n, first.getValue()));
    return call(nfa, head.behind(), new Subject(schemas, true));
  }

  private int values(Nfa nfa, int from, Conjunction schemas, List<JsonNode> values) {
    int to = nfa.node();
    boolean isEmpty = true;
    Conjunction rest = schemas.withoutValues();
    for (JsonNode value : values) {
      if (check.satisfies(value, rest)) {
        nfa.epsilon(json.literal(nfa, from, value.toString()), to);
        isEmpty = false;
      }
    }
    return isEmpty ? nothing(nfa, schemas.path(), "leaves none of its values") : to;
  }

  private int plain(Nfa nfa, int from, Conjunction schemas) {
    Set<String> types = schemas.types();
    if (types.isEmpty()) {
      return schemas.namedTypes() == null
          ? unnamed(schemas)
          : nothing(nfa, schemas.path(), "leaves no type");
    }
    int to = nfa.node();
    narrowed += types.size() > 1 ? 1 : 0;
    for (String type : types) {
      int begin = nfa.node();
      nfa.epsilon(from, begin);
      nfa.epsilon(typed(nfa, begin, type, schemas), to);
    }
    narrowed -= types.size() > 1 ? 1 : 0;
    return to;
  }

  private static int unnamed(Conjunction schemas) {
    throw new GrammarException(schemas.path(), "needs a type");
  }

  private int typed(Nfa nfa, int from, String type, Conjunction schemas) {
    return switch (type) {
      case "object" -> object(nfa, from, schemas);
      case "array" -> array(nfa, from, schemas);
      case "string" -> {
        StringSet strings = StringSet.of(schemas, builder.complexity());
        yield strings.isEmpty()
            ? nothing(nfa, schemas.path(), "leaves no string")
            : strings.write(json, nfa, from);
      }
      case "integer", "number" -> {
        int end = NumberRule.write(json, nfa, from, schemas, type.equals("integer"));
        yield end >= 0 ? end : nothing(nfa, schemas.path(), NumberRule.NONE);
      }
      case "boolean" -> {
        int to = nfa.node();
        nfa.epsilon(json.literal(nfa, from, "true"), to);
        nfa.epsilon(json.literal(nfa, from, "false"), to);
        yield to;
      }
      default -> json.literal(nfa, from, "null");
    };
  }

  /** Nothing is left: an error, unless it is one of several alternatives that were narrowed. */
  private int nothing(Nfa nfa, String path, String reason) {
    if (narrowed > 0) {
      return nfa.node();
    }
    throw new GrammarException(path, reason);
  }

  private int object(Nfa nfa, int from, Conjunction schemas) {
    ObjectFields fields = ObjectFields.of(schemas, builder.complexity());
    if (fields.max() >= 0 && fields.max() < Math.max(fields.min(), fields.required().size())) {
      return nothing(nfa, schemas.path(), "leaves no object");
    }
    int declared = fields.properties().size();
    int max =
        fields.others().isEmpty() && fields.max() >= declared
            ? -1
            : Math.min(fields.max(), declared + MAX_OTHERS);
    return object(new ObjectRule(json, nfa, from, fields.min(), max), nfa, fields, 0);
  }

  /** What follows the first property. */
  private int tail(Nfa nfa, int from, Conjunction schemas) {
    ObjectRule rule = ObjectRule.behindFirst(json, nfa, from);
    return object(rule, nfa, ObjectFields.of(schemas, builder.complexity()), 1);
  }

  private int object(ObjectRule rule, Nfa nfa, ObjectFields fields, int numWritten) {
    int at = 0;
    for (Map.Entry<String, Conjunction> property : fields.properties().entrySet()) {
      boolean must = fields.required().contains(property.getKey());
      Conjunction its = property.getValue();
      if (at++ >= numWritten && (must || !its.isImpossible())) {
        rule.property(property.getKey(), must, n -> call(nfa, n, its));
      }
    }
    List<ObjectRule.Other> others = new ArrayList<>();
    for (ObjectFields.Others some : fields.others()) {
      StringSet names = some.names();
      others.add(
          new ObjectRule.Other(
              names == null
                  ? key -> json.otherKey(nfa, key, fields.properties().keySet())
                  : key -> names.write(json, nfa, key),
              n -> call(nfa, n, some.value())));
    }
    return rule.others(others).end();
  }

  private int array(Nfa nfa, int from, Conjunction schemas) {
    ArrayItems items = ArrayItems.of(schemas);
    int min = items.min();
    int max = Math.min(items.max(), Math.max(MAX_ITEMS, min));
    if (max >= 0 && max < min) {
      return nothing(nfa, schemas.path(), "leaves no array");
    }
    // what comes behind the first item that nothing satisfies can't be
    int possible = 0;
    while (possible <= items.prefix() && !items.item(possible).isImpossible()) {
      possible++;
    }
    boolean ends = possible <= items.prefix();
    if (!ends && items.isClosed()) {
      possible = items.prefix();
      ends = true;
    }
    if (ends) {
      max = max < 0 ? possible : Math.min(max, possible);
      if (max < min) {
        return nothing(nfa, schemas.path(), "leaves no array");
      }
    }
    ArrayRule rule = new ArrayRule(json, nfa, from);
    ArrayItems.Contained contained = items.contained();
    if (items.unique() && max != 0 && max != 1) {
      if (contained != null || items.prefix() > 0) {
        throw new GrammarException(
            schemas.path() + ".uniqueItems", "can't be combined with prefixItems or contains");
      }
      return distinct(nfa, rule, items.item(0), min, max);
    }
    ArrayRule.Item item = (n, i) -> call(nfa, n, items.item(i));
    if (contained == null) {
      return rule.items(item, items.prefix(), min, max);
    }
    return containing(nfa, rule, items, contained, max);
  }

  private int containing(
      Nfa nfa, ArrayRule rule, ArrayItems items, ArrayItems.Contained contained, int max) {
    if (contained.max() >= 0 && contained.max() < contained.min()) {
      return nothing(nfa, items.schemas().path(), "leaves no array");
    }
    ObjectNode not = JsonNodeFactory.instance.objectNode();
    not.set("not", contained.schema().schema());
    Located without = contained.schema().with(not);
    narrowed++;
    int end =
        rule.containing(
            (n, i) ->
                call(nfa, n, contained.max() < 0 ? items.item(i) : items.item(i).and(without)),
            (n, i) -> call(nfa, n, items.item(i).and(contained.schema())),
            items.prefix(),
            items.min(),
            max,
            contained.min(),
            contained.max());
    narrowed--;
    return end;
  }

  private int distinct(Nfa nfa, ArrayRule rule, Conjunction item, int min, int max) {
    List<JsonNode> all = finite(item);
    if (all == null) {
      throw new GrammarException(
          item.path().replaceFirst("\\.items$", ".uniqueItems"),
          "is supported for items of an enum only");
    }
    List<JsonNode> values = new ArrayList<>();
    for (JsonNode value : all) {
      if (check.satisfies(value, item)
          && values.stream().noneMatch(v -> SchemaValues.equal(v, value))) {
        values.add(value);
      }
    }
    return values.size() < min
        ? nothing(nfa, item.path(), "leaves too few values")
        : rule.distinct(values, min, max);
  }

  /** The values that may satisfy schemas, if they are finite. */
  private static @Nullable List<JsonNode> finite(Conjunction schemas) {
    List<JsonNode> values = schemas.values();
    Set<String> types = schemas.namedTypes();
    if (values != null || types == null || !Set.of("boolean", "null").containsAll(types)) {
      return values;
    }
    JsonNodeFactory nodes = JsonNodeFactory.instance;
    return List.of(nodes.booleanNode(true), nodes.booleanNode(false), nodes.nullNode());
  }
}
