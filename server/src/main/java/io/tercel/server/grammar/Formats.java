package io.tercel.server.grammar;

import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** JSON Schema's string formats as regular expressions; each takes valid texts only. */
final class Formats {
  private static final String LEAP =
      "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[048]|[2468][048]|[13579][26])00)";
  private static final String DATE =
      "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
          + "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|"
          + LEAP
          + "-02-29)";
  private static final String TIME =
      "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?"
          + "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
  private static final String LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
  private static final String BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  private static final String ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";

  private static final Map<String, String> PATTERNS =
      Map.of(
          "date", DATE,
          "time", TIME,
          "date-time", DATE + "T" + TIME,
          "duration",
              "P(?:[0-9]{1,4}W|[0-9]{1,4}D|[0-9]{1,4}M(?:[0-9]{1,4}D)?|[0-9]{1,4}Y"
                  + "|T(?:[0-9]{1,4}S|[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}H))",
          "uuid", "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
          "email", ATOM + "(?:\\." + ATOM + ")*@" + LABEL + "(?:\\." + LABEL + "){1,4}",
          "hostname", LABEL + "(?:\\." + LABEL + "){0,3}",
          "ipv4", "(?:" + BYTE + "\\.){3}" + BYTE,
          "uri",
              "[A-Za-z][A-Za-z0-9+.-]{0,15}://"
                  + "(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+");

  private Formats() {}

  /** A format's expression for the whole text, or null. */
  static @Nullable Regex regex(String format, String path) {
    String pattern = PATTERNS.get(format);
    return pattern == null ? null : RegexParser.whole(pattern, path);
  }

  static String names() {
    return String.join(", ", new TreeSet<>(PATTERNS.keySet()));
  }
}
