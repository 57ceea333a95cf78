package io.tercel.server.model;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Bytes as people write them: {@code 512M}, {@code 4G}, {@code 1.5GiB}, {@code 1048576}. Units are
 * powers of 1024.
 */
public final class ByteSize {
  private static final Pattern FORM =
      Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([KMGT]?)(?:I?B)?", Pattern.CASE_INSENSITIVE);

  private ByteSize() {}

  /**
   * Reads a size.
   *
   * @throws IllegalArgumentException that says how sizes are written
   */
  public static long parse(String value) {
    Matcher m = FORM.matcher(value.strip());
    if (!m.matches()) {
      throw new IllegalArgumentException("'" + value + "' is no size; write 512M or 4G");
    }
    int power = " KMGT".indexOf(m.group(2).isEmpty() ? " " : m.group(2).toUpperCase(Locale.ROOT));
    return (long) (Double.parseDouble(m.group(1)) * (1L << (10 * power)));
  }

  /** A size with three digits and a unit. */
  public static String format(long bytes) {
    String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = bytes;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit == 0
        ? bytes + " B"
        : String.format(
            Locale.ROOT,
            value < 10 ? "%.2f %s" : value < 100 ? "%.1f %s" : "%.0f %s",
            value,
            units[unit]);
  }
}
