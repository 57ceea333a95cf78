package io.tercel.loadtests.cli;

import io.tercel.server.UserException;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Stretches of time as options have them: 90, 90s, 1.5m, 2h. */
final class Times {
  private static final Pattern TIME = Pattern.compile("(\\d+(?:\\.\\d+)?)([smh]?)");

  private Times() {}

  static Duration parse(String option, String text) {
    Matcher matcher = TIME.matcher(text);
    double amount = matcher.matches() ? Double.parseDouble(matcher.group(1)) : 0;
    if (!(amount > 0 && amount < 1e6)) {
      throw new UserException(
          option + ": '" + text + "'; expected a time above 0, such as 90s, 10m or 1h");
    }
    double unit =
        switch (matcher.group(2)) {
          case "h" -> 3600;
          case "m" -> 60;
          default -> 1;
        };
    return Duration.ofNanos(Math.round(amount * unit * 1e9));
  }
}
