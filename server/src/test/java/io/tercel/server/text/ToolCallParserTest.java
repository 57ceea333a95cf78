package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.text.ToolCallParser.CallDelta;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ToolCallParserTest {
  private static final String ONE =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": \"}\\\"</tool_call>\"}}\n</tool_call>";
  private static final String ONE_ARGUMENTS = "{\"a\": 1, \"b\": \"}\\\"</tool_call>\"}";

  private record Call(String name, String arguments) {}

  private record Read(String text, List<Call> calls) {}

  /** Reads the output in pieces of that many characters. */
  private static Read read(String output, int size, int maxCalls) {
    ToolCallParser parser = new ToolCallParser(maxCalls);
    StringBuilder text = new StringBuilder();
    List<String> names = new ArrayList<>();
    List<StringBuilder> arguments = new ArrayList<>();
    for (int i = 0; i < output.length(); i += size) {
      ToolCallParser.Delta delta =
          parser.accept(output.substring(i, Math.min(i + size, output.length())));
      text.append(delta.text());
      for (CallDelta call : delta.calls()) {
        if (call.name() != null) {
          assertEquals(names.size(), call.index());
          names.add(call.name());
          arguments.add(new StringBuilder());
        }
        assertEquals(names.size() - 1, call.index(), "calls come one after the other");
        arguments.get(call.index()).append(call.arguments());
      }
    }
    text.append(parser.finish());
    List<Call> calls = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      calls.add(new Call(names.get(i), arguments.get(i).toString()));
    }
    return new Read(text.toString(), calls);
  }

  static List<Arguments> outputs() {
    Call one = new Call("add", ONE_ARGUMENTS);
    return List.of(
        Arguments.of("no call <at> all\n", "no call <at> all\n", List.of()),
        Arguments.of(ONE, "", List.of(one)),
        Arguments.of("\n\n" + ONE + "\n", "", List.of(one)),
        Arguments.of("Let me see.\n\n" + ONE, "Let me see.", List.of(one)),
        Arguments.of(ONE + "\n" + ONE, "", List.of(one, one)),
        Arguments.of(ONE + "\nDone", "\nDone", List.of(one)),
        Arguments.of(
            "<tool_call>{\"name\":\"now\"}</tool_call>", "", List.of(new Call("now", "{}"))),
        Arguments.of(
            "<tool_call>{\"arguments\": {\"x\": [1, {}]}, \"id\": 7, \"name\": \"late\"}</tool_call>",
            "",
            List.of(new Call("late", "{\"x\": [1, {}]}"))),
        Arguments.of(
            "<tool_call>{\"name\": \"quoted\", \"arguments\": \"{\\\"x\\\": 1}\"}</tool_call>",
            "",
            List.of(new Call("quoted", "{\"x\": 1}"))),
        Arguments.of(
            "<tool_call>{\"name\": \"f\\u00fcr\", \"arguments\": {}}</tool_call>",
            "",
            List.of(new Call("für", "{}"))),
        // the closing marker was forgotten, or came before the last brace
        Arguments.of(
            "<tool_call>{\"name\": \"f\", \"arguments\": {}}\n" + ONE,
            "",
            List.of(new Call("f", "{}"), one)),
        Arguments.of(
            "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}\n</tool_call> Well.",
            " Well.",
            List.of(new Call("f", "{\"a\": 1}"))),
        Arguments.of(
            "<tool_call>{\"name\": \"f\", \"arguments\": {}}}</tool_call>",
            "",
            List.of(new Call("f", "{}"))),
        // arguments twice: the first have been passed on already
        Arguments.of(
            "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"arguments\": {}}</tool_call>",
            "",
            List.of(new Call("f", "{\"a\": 1}"))),
        // broken off
        Arguments.of(
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"long",
            "",
            List.of(new Call("f", "{\"a\": \"long"))),
        // no calls at all
        Arguments.of(
            "<tool_call>add(1, 2)</tool_call>", "<tool_call>add(1, 2)</tool_call>", List.of()),
        Arguments.of("<tool_call>\n{\"name\": 7}", "<tool_call>\n{\"name\": 7}", List.of()),
        Arguments.of("<tool_call>\n{\"name\": \"f\"", "<tool_call>\n{\"name\": \"f\"", List.of()),
        Arguments.of("<tool_call>{\"arguments\": {}}", "<tool_call>{\"arguments\": {}}", List.of()),
        Arguments.of("in a <tool_cal", "in a <tool_cal", List.of()),
        Arguments.of("a < b \n", "a < b \n", List.of()));
  }

  @ParameterizedTest
  @MethodSource("outputs")
  void accept_whateverThePieces(String output, String text, List<Call> calls) {
    for (int size = 1; size <= output.length(); size++) {
      assertEquals(new Read(text, calls), read(output, size, 99), "pieces of " + size);
    }
  }

  @Test
  void accept_argumentsAsTheyCome() {
    ToolCallParser parser = new ToolCallParser(99);
    parser.accept("<tool_call>{\"name\": \"f\", \"arguments\":");
    assertEquals(
        List.of(new CallDelta(0, "f", "{\"a\"")),
        parser.accept(" {\"a\"").calls(),
        "one delta a call: many clients look at the first of a chunk only");
    assertEquals(List.of(new CallDelta(0, null, ": [1")), parser.accept(": [1").calls());
    assertEquals(List.of(new CallDelta(0, null, "]}")), parser.accept("]}}").calls());
    assertEquals("", parser.finish());
  }

  @Test
  void full_afterTheLastCallThatIsWanted() {
    ToolCallParser parser = new ToolCallParser(1);
    parser.accept(ONE.substring(0, 30));
    assertFalse(parser.full());
    parser.accept(ONE.substring(30));
    assertTrue(parser.full());
    assertEquals(1, read(ONE + ONE, 5, 1).calls().size());
  }

  @Test
  void full_evenIfOnePieceHasMore() {
    ToolCallParser parser = new ToolCallParser(1);
    parser.accept(ONE + ONE.substring(0, 30));
    assertTrue(parser.full());
  }

  /** Small models go round in blank lines: the time must not be the square of their number. */
  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void blanks_aMillionOfThem() {
    ToolCallParser parser = new ToolCallParser(99);
    for (int i = 0; i < 1_000_000; i++) {
      assertEquals("", parser.accept("\n").text());
    }
    assertEquals("\n".repeat(1_000_000) + "x", parser.accept("x").text());
  }
}
