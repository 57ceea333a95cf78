package io.tercel.server.answer;

import java.util.List;

/**
 * What of an output becomes text.
 *
 * @param stops strings that end a choice
 * @param includeStop whether what ended a choice belongs to its text
 * @param skipSpecialTokens whether special tokens are left out
 */
public record TextRules(List<String> stops, boolean includeStop, boolean skipSpecialTokens) {
  public TextRules {
    stops = List.copyOf(stops);
  }
}
