package io.tercel.kernels.tornado;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds in the C that TornadoVM makes of kernels what the device's own compiler may fuse, so that a
 * product isn't rounded before it is added or subtracted. TornadoVM fuses {@code a * b + c} itself,
 * in the same way for every device; what it leaves is fused by CUDA's compiler and not by others.
 */
final class EmittedSource {
  private static final Pattern KERNEL = Pattern.compile("\\bvoid (\\w+)\\(.*_kernel_context");

  private static final Pattern LOCAL_ARRAY =
      Pattern.compile("\\s*__(?:local|shared__) (\\w+) \\w+\\[(\\d+)\\];");

  private static final Pattern ASSIGNMENT = Pattern.compile("\\s*([fd]_\\d+) {2}= {2}(.+);");

  private static final Pattern NEGATION = Pattern.compile("-([fd]_\\d+)");

  private static final Pattern PRODUCT = Pattern.compile("(\\S+) \\* (\\S+)");

  private static final Pattern SUM = Pattern.compile("(\\S+) [-+] (\\S+)");

  /** Subtracting from zero changes no bits but a sign. */
  private static final String ZERO = "0.0F?";

  private EmittedSource() {}

  /** Names of the kernels in a text of C. */
  static List<String> kernels(List<String> lines) {
    List<String> names = new ArrayList<>();
    for (String line : lines) {
      Matcher kernel = KERNEL.matcher(line);
      if (kernel.find()) {
        names.add(kernel.group(1));
      }
    }
    return names;
  }

  /** Each sum or difference of an inexact product, with its kernel. */
  static List<String> fusible(List<String> lines) {
    List<String> findings = new ArrayList<>();
    Map<String, String> values = new HashMap<>();
    String kernel = "";
    for (String line : lines) {
      Matcher begin = KERNEL.matcher(line);
      if (begin.find()) {
        kernel = begin.group(1);
        values.clear();
      }
      Matcher assignment = ASSIGNMENT.matcher(line);
      if (!assignment.matches()) {
        continue;
      }
      String value = assignment.group(2);
      values.put(assignment.group(1), value);
      Matcher sum = SUM.matcher(value);
      if (!sum.matches()) {
        continue;
      }
      boolean negated = sum.group(1).matches(ZERO);
      if (!negated && (isProduct(sum.group(1), values) || isProduct(sum.group(2), values))) {
        findings.add(kernel + ": " + line.strip());
      }
    }
    return findings;
  }

  /** Bytes of local arrays of each kernel: the most of those of a name. */
  static Map<String, Integer> localBytes(List<String> lines) {
    Map<String, Integer> bytes = new TreeMap<>();
    String kernel = "";
    int sum = 0;
    for (String line : lines) {
      Matcher begin = KERNEL.matcher(line);
      if (begin.find()) {
        kernel = begin.group(1);
        sum = 0;
      }
      Matcher array = LOCAL_ARRAY.matcher(line);
      if (array.matches()) {
        sum += Integer.parseInt(array.group(2)) * elementBytes(array.group(1));
        bytes.merge(kernel, sum, Math::max);
      }
    }
    return bytes;
  }

  private static int elementBytes(String type) {
    return switch (type) {
      case "int", "float" -> Integer.BYTES;
      case "long", "double" -> Long.BYTES;
      default -> throw new IllegalArgumentException("local array of " + type);
    };
  }

  private static boolean isProduct(String variable, Map<String, String> values) {
    String value = values.getOrDefault(variable, "");
    Matcher negation = NEGATION.matcher(value);
    if (negation.matches()) {
      return isProduct(negation.group(1), values);
    }
    Matcher product = PRODUCT.matcher(value);
    return product.matches() && !isPower(product.group(1)) && !isPower(product.group(2));
  }

  /** A power of two, times which nothing is rounded. */
  private static boolean isPower(String factor) {
    if (!factor.matches("-?[0-9][0-9.E-]*F?")) {
      return false;
    }
    double value = Math.abs(Double.parseDouble(factor.replace("F", "")));
    return value == Math.scalb(1.0, Math.getExponent(value));
  }
}
