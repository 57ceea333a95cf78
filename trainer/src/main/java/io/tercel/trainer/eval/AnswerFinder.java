package io.tercel.trainer.eval;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds the answer in a completion: what stands in {@code \boxed}; else after "final answer is";
 * else after "answer:"; else any LaTeX or number. Of several matches of a kind, the rightmost.
 */
final class AnswerFinder {
  /** Longer is no answer; it bounds the search in hostile text. */
  private static final int MAX_ANSWER = 4000;

  private static final int MAX_TAIL = 200_000;

  /** Where there is no phrase to go by, the end decides; it bounds the search for LaTeX. */
  private static final int LATEX_TAIL = 16_000;

  private static final Pattern FINAL =
      Pattern.compile("final answer\\**\\s+is\\**\\s*:?\\**", Pattern.CASE_INSENSITIVE);
  private static final Pattern ANSWER =
      Pattern.compile("\\banswer\\**\\s*(?::|is\\b\\s*:?)\\**", Pattern.CASE_INSENSITIVE);
  private static final Pattern SENTENCE_END = Pattern.compile("[.!?](?=\\s|$)");

  /** As Pandoc finds maths, so that the two dollars of "$5 and $6" are none. */
  private static final Pattern LATEX =
      Pattern.compile(
          "\\$\\$([^$]{1,2000}+)\\$\\$|(?<!\\\\)\\$(?![\\s$])([^$\\n]{0,1999}[^$\\s\\\\])\\$(?!\\d)"
              + "|\\\\\\(([^\\n]{1,2000}?)\\\\\\)|\\\\\\[(.{1,2000}?)\\\\\\]",
          Pattern.DOTALL);

  private static final Pattern NUMBER =
      Pattern.compile("(?<![\\w.])-?[$]?(?:\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\.\\d+)?(?:/\\d+)?%?");

  private AnswerFinder() {}

  /** The answer's text as it was written. */
  static Optional<String> find(String completion) {
    String text = afterThought(completion);
    Optional<String> found = boxed(text);
    if (found.isEmpty()) {
      found = after(text, FINAL);
    }
    if (found.isEmpty()) {
      found = after(text, ANSWER);
    }
    return found.isPresent() ? found : anything(text);
  }

  /** The content of the rightmost {@code \boxed} that has any and whose braces balance. */
  static Optional<String> boxed(String completion) {
    String text = afterThought(completion);
    for (int at = text.lastIndexOf("boxed"); at > 0; at = text.lastIndexOf("boxed", at - 1)) {
      int start = at + "boxed".length();
      boolean command = text.charAt(at - 1) == '\\' || text.startsWith("\\f", Math.max(0, at - 2));
      if (command) {
        Optional<String> content = argument(text, start);
        if (content.isPresent()) {
          return content;
        }
      }
    }
    return Optional.empty();
  }

  private static Optional<String> argument(String text, int from) {
    int start = from;
    while (start < text.length() && text.charAt(start) == ' ') {
      start++;
    }
    if (start < text.length() && start > from && Character.isLetterOrDigit(text.charAt(start))) {
      int end = start;
      while (end < text.length()
          && !Character.isWhitespace(text.charAt(end))
          && text.charAt(end) != '$') {
        end++;
      }
      return Optional.of(text.substring(start, end));
    }
    if (start >= text.length() || text.charAt(start) != '{') {
      return Optional.empty();
    }
    int depth = 0;
    int limit = Math.min(text.length(), start + MAX_ANSWER);
    for (int i = start; i < limit; i++) {
      char c = text.charAt(i);
      if (c == '\\') {
        i++; // What is escaped is no bracket.
      } else if (c == '{') {
        depth++;
      } else if (c == '}' && --depth == 0) {
        String content = text.substring(start + 1, i).strip();
        return content.isEmpty() ? Optional.empty() : Optional.of(content);
      }
    }
    return Optional.empty();
  }

  private static Optional<String> after(String text, Pattern phrase) {
    Matcher matcher = phrase.matcher(text);
    int end = -1;
    while (matcher.find()) {
      end = matcher.end();
    }
    if (end < 0) {
      return Optional.empty();
    }
    String rest = text.substring(end, Math.min(text.length(), end + LATEX_TAIL)).stripLeading();
    int line = rest.indexOf('\n');
    boolean display = rest.startsWith("$$") || rest.startsWith("\\[");
    Matcher latex = LATEX.matcher(rest);
    boolean found = latex.find();
    if (found && (display || line < 0 || latex.start() < line)) {
      String before = rest.substring(0, latex.start());
      if (!before.matches("(?s).*\\d.*")) {
        return Optional.of(content(latex));
      }
    }
    String said = line < 0 ? rest : rest.substring(0, line);
    Matcher sentence = SENTENCE_END.matcher(said);
    said = (sentence.find() ? said.substring(0, sentence.start()) : said).replace("**", "").strip();
    return said.isEmpty() || said.length() > MAX_ANSWER ? Optional.empty() : Optional.of(said);
  }

  private static Optional<String> anything(String whole) {
    String text = whole.substring(Math.max(0, whole.length() - LATEX_TAIL));
    String best = null;
    int bestEnd = -1;
    Matcher latex = LATEX.matcher(text);
    while (latex.find()) {
      best = content(latex);
      bestEnd = latex.end();
    }
    Matcher number = NUMBER.matcher(text);
    if (bestEnd > 0) {
      number.region(bestEnd, text.length());
    }
    while (number.find()) {
      best = number.group();
    }
    return Optional.ofNullable(best);
  }

  private static String content(Matcher latex) {
    for (int group = 1; group <= latex.groupCount(); group++) {
      String content = latex.group(group);
      if (content != null) {
        return content.strip();
      }
    }
    throw new IllegalStateException("a match without content");
  }

  /** A thought is no answer: neither one that ended nor one that did not. */
  private static String afterThought(String completion) {
    int close = completion.lastIndexOf("</think>");
    String text = close >= 0 ? completion.substring(close + "</think>".length()) : completion;
    int open = text.indexOf("<think>");
    if (open >= 0) {
      text = text.substring(0, open);
    }
    return text.substring(Math.max(0, text.length() - MAX_TAIL));
  }
}
