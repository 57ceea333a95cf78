package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What schemas say about an array's items.
 *
 * @param prefix how many are described one by one
 * @param isClosed whether none follow those
 * @param min items
 * @param max items, -1 for any number
 * @param contained what some items satisfy; null if nothing is said
 */
record ArrayItems(
    Conjunction schemas,
    int prefix,
    boolean isClosed,
    int min,
    int max,
    @Nullable Contained contained,
    boolean unique) {

  /**
   * Items of which there are some.
   *
   * @param max -1 for any number
   */
  record Contained(Located schema, int min, int max) {}

  static ArrayItems of(Conjunction schemas) {
    ObjectNode limits = schemas.limits();
    int min = SchemaValues.count(limits, "minItems", schemas.path(), 0);
    int max = SchemaValues.count(limits, "maxItems", schemas.path(), -1);
    int prefix = 0;
    boolean saysRest = false;
    boolean unique = false;
    List<Contained> contained = new ArrayList<>();
    for (Located part : schemas.parts()) {
      prefix = Math.max(prefix, prefix(part).size());
      saysRest |= rest(part) != null;
      unique |= part.schema().path("uniqueItems").booleanValue();
      Located its = Conjunction.member(part, "contains");
      if (its != null) {
        ObjectNode object = (ObjectNode) part.schema();
        int least = SchemaValues.count(object, "minContains", part.path(), 1);
        int most = SchemaValues.count(object, "maxContains", part.path(), -1);
        if (least > 0 || most >= 0) {
          contained.add(new Contained(its, least, most));
        }
      }
    }
    if (contained.size() > 1) {
      throw new GrammarException(
          contained.get(1).schema().path(), "can't be combined with another contains");
    }
    boolean isClosed = !saysRest && prefix > 0 && min <= prefix;
    return new ArrayItems(
        schemas,
        prefix,
        isClosed,
        min,
        max,
        contained.isEmpty() ? null : contained.getFirst(),
        unique && max != 0 && max != 1);
  }

  /** The schemas of all items behind this many. */
  Conjunction item(int index) {
    boolean isOfPrefix = index < prefix;
    String path = schemas.path() + (isOfPrefix ? ".prefixItems[%d]".formatted(index) : ".items");
    Conjunction all = Conjunction.anything(schemas.source(), path);
    for (Located part : schemas.parts()) {
      Located its = item(part, index);
      if (its != null) {
        all = all.and(its);
      }
    }
    return all;
  }

  /** What one schema says of an item; null if nothing. */
  static @Nullable Located item(Located schema, int index) {
    List<Located> prefix = prefix(schema);
    return index < prefix.size() ? prefix.get(index) : rest(schema);
  }

  private static List<Located> prefix(Located schema) {
    // a list of items is what prefixItems was called before 2020
    String keyword = schema.schema().path("items").isArray() ? "items" : "prefixItems";
    JsonNode items = schema.schema().get(keyword);
    if (items == null || (items.isArray() && items.isEmpty())) {
      return List.of();
    }
    return Conjunction.members(schema, keyword);
  }

  private static @Nullable Located rest(Located schema) {
    return Conjunction.member(
        schema, schema.schema().path("items").isArray() ? "additionalItems" : "items");
  }
}
