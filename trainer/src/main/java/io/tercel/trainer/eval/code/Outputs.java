package io.tercel.trainer.eval.code;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Compares what a program gave with what it was to give, as LiveCodeBench's own checker does. */
final class Outputs {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);
  private static final int MAX_NUMBER = 1000;

  private Outputs() {}

  /** Line by line without the blanks around; where lines differ as texts, number by number. */
  static boolean samePrinted(String given, String expected) {
    List<String> left = lines(given);
    List<String> right = lines(expected);
    if (left.size() != right.size()) {
      return false;
    }
    for (int i = 0; i < left.size(); i++) {
      if (!left.get(i).equals(right.get(i)) && !sameNumbers(left.get(i), right.get(i))) {
        return false;
      }
    }
    return true;
  }

  private static List<String> lines(String text) {
    List<String> lines = new ArrayList<>();
    for (String line : text.strip().split("\n", -1)) {
      lines.add(line.strip());
    }
    return lines;
  }

  private static boolean sameNumbers(String left, String right) {
    String[] a = left.split("\\s+");
    String[] b = right.split("\\s+");
    if (a.length != b.length) {
      return false;
    }
    for (int i = 0; i < a.length; i++) {
      if (a[i].length() > MAX_NUMBER || b[i].length() > MAX_NUMBER) {
        return false;
      }
      try {
        if (new BigDecimal(a[i]).compareTo(new BigDecimal(b[i])) != 0) {
          return false;
        }
      } catch (NumberFormatException e) {
        return false;
      }
    }
    return true;
  }

  /** As Python's {@code ==} has it on values that JSON knows; no JSON equals nothing. */
  static boolean sameValue(String given, String expected) {
    try {
      return same(JSON.readTree(given), JSON.readTree(expected));
    } catch (JsonProcessingException e) {
      return false;
    }
  }

  private static boolean same(JsonNode a, JsonNode b) {
    if (isNumber(a) && isNumber(b)) {
      return number(a).compareTo(number(b)) == 0;
    }
    if (a.isArray() && b.isArray()) {
      boolean equal = a.size() == b.size();
      for (int i = 0; equal && i < a.size(); i++) {
        equal = same(a.get(i), b.get(i));
      }
      return equal;
    }
    if (a.isObject() && b.isObject()) {
      boolean equal = a.size() == b.size();
      for (Iterator<Map.Entry<String, JsonNode>> i = a.fields(); equal && i.hasNext(); ) {
        Map.Entry<String, JsonNode> field = i.next();
        equal = b.has(field.getKey()) && same(field.getValue(), b.get(field.getKey()));
      }
      return equal;
    }
    return !a.isMissingNode() && a.equals(b);
  }

  /** In Python True is 1. */
  private static boolean isNumber(JsonNode node) {
    return node.isNumber() || node.isBoolean();
  }

  private static BigDecimal number(JsonNode node) {
    return node.isBoolean()
        ? (node.booleanValue() ? BigDecimal.ONE : BigDecimal.ZERO)
        : node.decimalValue();
  }
}
