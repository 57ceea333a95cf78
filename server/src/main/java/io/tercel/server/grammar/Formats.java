package io.tercel.server.grammar;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON Schema's string formats as regular expressions; each takes valid texts only. Formats that
 * are not here are annotations, as JSON Schema has it.
 */
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

  /** RFC 1123: up to 63 characters. No hyphens at both third and fourth place: such are coded. */
  private static final String LABEL =
      "[A-Za-z0-9](?:[A-Za-z0-9-]{0,2}[A-Za-z0-9]"
          + "|[A-Za-z0-9-](?:[A-Za-z0-9][A-Za-z0-9-]|-[A-Za-z0-9])[A-Za-z0-9-]{0,58}[A-Za-z0-9])?";

  private static final String BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  private static final String IPV4 = "(?:" + BYTE + "\\.){3}" + BYTE;
  private static final String ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";

  private static final String LOCAL = ATOM + "(?:\\." + ATOM + ")*";

  private static final String H16 = "[0-9A-Fa-f]{1,4}";
  private static final String LS32 = "(?:" + H16 + ":" + H16 + "|" + IPV4 + ")";

  /** RFC 3986 appendix A. */
  private static final String IPV6 =
      "(?:(?:H:){6}L|::(?:H:){5}L|(?:H)?::(?:H:){4}L|(?:(?:H:){0,1}H)?::(?:H:){3}L"
              .replace("H", H16)
              .replace("L", LS32)
          + "|(?:(?:H:){0,2}H)?::(?:H:){2}L|(?:(?:H:){0,3}H)?::H:L|(?:(?:H:){0,4}H)?::L"
              .replace("H", H16)
              .replace("L", LS32)
          + "|(?:(?:H:){0,5}H)?::H|(?:(?:H:){0,6}H)?::)".replace("H", H16);

  private static final String PCHAR = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
  private static final String REG_NAME = "(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*";
  private static final String AUTHORITY =
      "(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\\["
          + "(?:"
          + IPV6
          + "|v[0-9A-Fa-f]+\\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\\]|"
          + REG_NAME
          + ")(?::[0-9]*)?";

  /** RFC 3986, with up to 16 characters of scheme. */
  private static final String URI = "[A-Za-z][A-Za-z0-9+.-]{0,15}:" + reference("P+");

  /** The path's first part is not to be taken for a scheme. */
  private static final String RELATIVE =
      reference("(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})+");

  private static final String POINTER = "(?:/(?:[^/~]|~[01])*)*";

  /** RFC 3339 appendix A: units from the largest one on, none left out between two. */
  private static final String DURATION =
      "P(?:[0-9]{1,4}W|(?:D|M(?:D)?|Y(?:M(?:D)?)?)(?:T(?:S|N(?:S)?|H(?:N(?:S)?)?))?|T(?:S|N(?:S)?|H(?:N(?:S)?)?))"
          .replace("D", "[0-9]{1,4}\u0001")
          .replace("M", "[0-9]{1,4}M")
          .replace("N", "[0-9]{1,4}M")
          .replace("Y", "[0-9]{1,4}Y")
          .replace("S", "[0-9]{1,4}S")
          .replace("H", "[0-9]{1,4}H")
          .replace("\u0001", "D");

  private static final Map<String, String> PATTERNS =
      Map.ofEntries(
          Map.entry("date", DATE),
          Map.entry("time", TIME),
          Map.entry("date-time", DATE + "T" + TIME),
          Map.entry("duration", DURATION),
          Map.entry("uuid", "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"),
          Map.entry("email", LOCAL + "@" + LABEL + "(?:\\." + LABEL + ")+"),
          Map.entry("hostname", LABEL + "(?:\\." + LABEL + ")*"),
          Map.entry("ipv4", IPV4),
          Map.entry("ipv6", IPV6),
          Map.entry("uri", URI),
          Map.entry("uri-reference", "(?:" + URI + "|" + RELATIVE + ")"),
          Map.entry("json-pointer", POINTER),
          Map.entry("relative-json-pointer", "(?:0|[1-9][0-9]{0,8})(?:#|" + POINTER + ")"));

  private static final Map<String, Regex> READ = read();

  /** RFC 5321: what stands before the @. */
  private static final Regex LOCAL_PART = RegexParser.whole("[^@]{1,64}@[^@]*", "email");

  private Formats() {}

  /** What follows the scheme, its path beginning so if it has neither authority nor slash. */
  private static String reference(String first) {
    return ("(?://AUTH(?:/P*)*|/(?:P+(?:/P*)*)?|FIRST(?:/P*)*)?"
            + "(?:\\?(?:P|[/?])*)?(?:#(?:P|[/?])*)?")
        .replace("AUTH", "\u0001")
        .replace("FIRST", "\u0002")
        .replace("P", PCHAR)
        .replace("\u0002", first.replace("P", PCHAR))
        .replace("\u0001", AUTHORITY);
  }

  private static Map<String, Regex> read() {
    Map<String, Regex> all = new HashMap<>();
    PATTERNS.forEach((name, pattern) -> all.put(name, RegexParser.whole(pattern, name)));
    return Map.copyOf(all);
  }

  static boolean isKnown(String format) {
    return READ.containsKey(format);
  }

  /** Expressions that must all match the whole text; none for what is no known format. */
  static List<Regex> regexes(String format) {
    Regex regex = READ.get(format);
    if (regex == null) {
      return List.of();
    }
    return format.equals("email") ? List.of(regex, LOCAL_PART) : List.of(regex);
  }

  /** The most characters that a format's texts may have beyond what its expression says, or -1. */
  static int maxLength(String format) {
    return switch (format) {
      case "hostname" -> 253;
      case "email" -> 254;
      default -> -1;
    };
  }
}
