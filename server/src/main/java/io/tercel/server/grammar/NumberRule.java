package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.node.ObjectNode;

/** A JSON number between bounds: any, whole ones, multiples of one, or those that are not whole. */
final class NumberRule {
  /** Why there may be none. */
  static final String NONE =
      "leaves no number of up to %d digits".formatted(DecimalRange.MAX_DIGITS);

  private NumberRule() {}

  /**
   * Writes it from a node on.
   *
   * @return where it ends, or -1 if there is no such number
   */
  static int write(JsonRules json, Nfa nfa, int from, Conjunction schemas, boolean isWhole) {
    String path = schemas.path();
    ObjectNode limits = schemas.limits();
    DecimalRange.Bound min = SchemaValues.lowerBound(limits, path);
    DecimalRange.Bound max = SchemaValues.upperBound(limits, path);
    boolean isBound = min != null || max != null;
    boolean wantsWhole = isWhole || limits.has("multipleOf");
    if (schemas.parts().stream().anyMatch(p -> Negation.isOfFractions(p.schema()))) {
      return wantsWhole || isBound ? -1 : JsonRules.fraction(nfa, from);
    }
    if (wantsWhole) {
      SchemaValues.Bounds bounds = SchemaValues.bounds(limits, path);
      long step = SchemaValues.step(limits, path);
      return IntegerRange.write(nfa, from, bounds.min(), bounds.max(), step);
    }
    return isBound
        ? DecimalRange.write(
            nfa,
            from,
            min == null ? DecimalRange.LEAST : min,
            max == null ? DecimalRange.GREATEST : max)
        : json.number(nfa, from);
  }
}
