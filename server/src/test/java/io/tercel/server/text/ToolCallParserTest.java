package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.text.OutputPart.Call;
import io.tercel.server.text.OutputPart.Text;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ToolCallParserTest {
  private static final String ONE =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": \"}\\\"</tool_call>\"}}\n</tool_call>";
  private static final String ONE_ARGUMENTS = "{\"a\": 1, \"b\": \"}\\\"</tool_call>\"}";

  private static final String F = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}";

  /** Reads the output in pieces of that many characters. */
  private static List<OutputPart> read(String output, int size, int maxCalls) {
    ToolCallParser parser = new ToolCallParser(maxCalls, false);
    List<OutputPart> parts = new ArrayList<>();
    for (int i = 0; i < output.length(); i += size) {
      parts.addAll(parser.accept(output.substring(i, Math.min(i + size, output.length()))));
    }
    parts.addAll(parser.finish());
    return joined(parts);
  }

  /** Texts in a row as one. */
  private static List<OutputPart> joined(List<OutputPart> parts) {
    List<OutputPart> joined = new ArrayList<>();
    for (OutputPart part : parts) {
      if (part instanceof Text(String more)
          && !joined.isEmpty()
          && joined.getLast() instanceof Text(String text)) {
        joined.set(joined.size() - 1, new Text(text + more));
      } else {
        joined.add(part);
      }
    }
    return joined;
  }

  static List<Arguments> outputs() {
    return List.of(
        text("no call <at> all\n"),
        output(ONE, one(0)),
        output("\n\n" + ONE + "\n", one(0)),
        output("Let me see.\n\n" + ONE, new Text("Let me see."), one(0)),
        output(ONE + "\n" + ONE, one(0), one(1)),
        output(ONE + "\nDone", one(0), new Text("\nDone")),
        output(
            "a" + ONE + "b" + ONE + "c",
            new Text("a"),
            one(0),
            new Text("b"),
            one(1),
            new Text("c")),
        output("<tool_call>{\"name\":\"now\"}</tool_call>", new Call(0, "now", "{}")),
        output(
            "<tool_call>{\"arguments\": {\"x\": [1, {}]}, \"id\": 7, \"name\": \"late\"}</tool_call>",
            new Call(0, "late", "{\"x\": [1, {}]}")),
        output(
            "<tool_call>{\"name\": \"quoted\", \"arguments\": \"{\\\"x\\\": 1}\"}</tool_call>",
            new Call(0, "quoted", "{\"x\": 1}")),
        output(
            "<tool_call>{\"name\": \"f\\u00fcr\", \"arguments\": {}}</tool_call>",
            new Call(0, "für", "{}")),
        output(
            "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>",
            new Call(0, "f", "{}")),
        // Llama's word for arguments
        output(
            "<tool_call>{\"name\": \"f\", \"parameters\": {\"a\": 1}}</tool_call>",
            new Call(0, "f", "{\"a\": 1}")),
        output(
            "<tool_call>{\"name\": \"f\", \"arguments\": {}, \"parameters\": {\"a\": 1}}</tool_call>",
            new Call(0, "f", "{}")),
        // the closing marker was forgotten, or came before the last bracket, or behind one too many
        output(F, f(0)),
        output(F + "\n" + ONE, f(0), one(1)),
        output(F + "\n\nWell, a < b.", f(0), new Text("\n\nWell, a < b.")),
        output(F + " </tool", f(0)),
        output(F + "<<tool_call> no", f(0), new Text("<<tool_call> no")),
        output(F.substring(0, F.length() - 1) + "\n</tool_call> Well.", f(0), new Text(" Well.")),
        output(F + "}</tool_call>", f(0)),
        output(F + "} no", f(0), new Text("} no")),
        // arguments twice: JSON's readers take the last
        output(
            "<tool_call>{\"name\": \"f\", \"arguments\": {}, \"arguments\": {\"a\": 1}}</tool_call>",
            f(0)),
        // broken off: no call, and every character comes out
        text("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"long"),
        text("Well. <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}"),
        text("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}\n</tool_cal"),
        text("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}\n<b>"),
        text("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1\n</tool_call>"),
        text("<tool_call>\n{\"name\": \"f\""),
        // no calls at all
        text("Use <tool_call> tags"),
        text("Use  <tool_call>\n tags \n"),
        text("<tool_call>add(1, 2)</tool_call>"),
        text("<tool_call>\n{\"name\": 7}"),
        text("<tool_call>{\"arguments\": {}}"),
        text("in a <tool_cal"),
        text("a < b \n"),
        output("Use <tool_call>" + ONE, new Text("Use <tool_call>"), one(0)),
        output("<tool_call>{<tool_call>" + ONE, new Text("<tool_call>{<tool_call>"), one(0)));
  }

  private static Arguments output(String output, OutputPart... parts) {
    return Arguments.of(output, List.of(parts));
  }

  /** What is no call as a whole. */
  private static Arguments text(String output) {
    return output(output, new Text(output));
  }

  private static Call one(int index) {
    return new Call(index, "add", ONE_ARGUMENTS);
  }

  private static Call f(int index) {
    return new Call(index, "f", "{\"a\": 1}");
  }

  @ParameterizedTest
  @MethodSource("outputs")
  void accept_whateverThePieces(String output, List<OutputPart> parts) {
    for (int size = 1; size <= output.length(); size++) {
      assertEquals(parts, read(output, size, 99), "pieces of " + size);
    }
  }

  @Test
  void accept_tellsACallOnceItIsWhole() {
    ToolCallParser parser = new ToolCallParser(99, false);
    assertEquals(List.of(), parser.accept(F.substring(0, F.length() - 1)));
    assertEquals(0, parser.numCalls());
    assertEquals(List.of(f(0)), parser.accept("}"));
    assertEquals(1, parser.numCalls());
    assertEquals(List.of(), parser.finish());
  }

  @Test
  void accept_textIsNotHeldLongerThanItMayBeACall() {
    ToolCallParser parser = new ToolCallParser(99, false);
    parser.accept("Use <tool_call>");
    assertEquals(List.of(new Text(" <tool_call> t")), parser.accept(" t"));
  }

  @Test
  void full_afterTheLastCallThatIsWanted() {
    ToolCallParser parser = new ToolCallParser(1, false);
    parser.accept(ONE.substring(0, 30));
    assertFalse(parser.full());
    parser.accept(ONE.substring(30));
    assertTrue(parser.full());
    assertEquals(List.of(one(0)), read(ONE + ONE, 5, 1));
  }

  @Test
  void full_evenIfOnePieceHasMore() {
    ToolCallParser parser = new ToolCallParser(1, false);
    parser.accept(ONE + ONE.substring(0, 30));
    assertTrue(parser.full());
  }

  /** Small models go round in blank lines: the time must not be the square of their number. */
  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void blanks_aMillionOfThem() {
    ToolCallParser parser = new ToolCallParser(99, false);
    for (int i = 0; i < 1_000_000; i++) {
      assertEquals(List.of(), parser.accept("\n"));
    }
    assertEquals(List.of(new Text("\n".repeat(1_000_000) + "x")), parser.accept("x"));
  }

  /** Where an answer is either calls or has a form, a call within the form is its text. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "[1] <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call> x ",
        "\n x  <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
        "<tool_call>no <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"f\"<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
        "{\"a\": \"<tool_call>\"}",
        "<",
        " < ",
        "   "
      })
  void eitherCallsOrText_whatBeginsAsTextIsText(String written) {
    for (int piece : new int[] {1, 3, 1000}) {
      ToolCallParser parser = new ToolCallParser(9, true);
      StringBuilder text = new StringBuilder();
      List<OutputPart> parts = new ArrayList<>();
      for (int i = 0; i < written.length(); i += piece) {
        parts.addAll(parser.accept(written.substring(i, Math.min(written.length(), i + piece))));
      }
      parts.addAll(parser.finish());
      for (OutputPart part : parts) {
        text.append(((OutputPart.Text) part).text());
      }
      assertEquals(written, text.toString());
      assertEquals(0, parser.numCalls());
    }
  }

  @Test
  void eitherCallsOrText_callsThatComeFirstAreCalls() {
    ToolCallParser parser = new ToolCallParser(9, true);
    String call = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    List<OutputPart> parts = parser.accept("\n\n" + call + "\n" + call);
    assertEquals(2, parts.size(), parts.toString());
    assertEquals(2, parser.numCalls());
    assertEquals(List.of(), parser.finish());
  }
}
