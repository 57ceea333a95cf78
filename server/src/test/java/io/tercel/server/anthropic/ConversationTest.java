package io.tercel.server.anthropic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.request.ChatPrompt;
import io.tercel.server.request.RequestFields;
import io.tercel.server.text.ChatTemplate;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What templates see of a conversation; in its JSON here {@code '} stands for quotes. */
class ConversationTest {
  private static final String CALLS =
      "{'role':'user','content':'Do.'},{'role':'assistant','content':["
          + "{'type':'thinking','thinking':'Hm.','signature':'s'},{'type':'text','text':'I do.'},"
          + "{'type':'tool_use','id':'a','name':'f','input':{'x':1}},"
          + "{'type':'tool_use','id':'b','name':'g','input':{}}]}";
  private static final String CALLED =
      "{'role':'user','content':'Do.'},{'role':'assistant','content':'I do.','tool_calls':["
          + "{'id':'a','type':'function','function':{'name':'f','arguments':{'x':1}}},"
          + "{'id':'b','type':'function','function':{'name':'g','arguments':{}}}],"
          + "'reasoning_content':'Hm.'}";

  /** Whether the last message is to be continued, and the messages. */
  private static String read(String messages) throws Exception {
    ObjectNode body =
        (ObjectNode) Json.MAPPER.readTree(("{'messages':[" + messages + "]}").replace('\'', '"'));
    ArrayNode out = Json.MAPPER.createArrayNode();
    boolean continues = Conversation.read(new RequestFields(body), out);
    String all = out.toString().replace('"', '\'');
    return (continues ? "continue " : "") + all.substring(1, all.length() - 1);
  }

  private static void same(String expected, String messages) throws Exception {
    assertEquals(expected, read(messages));
  }

  @Test
  void texts() throws Exception {
    same("{'role':'user','content':'a'}", "{'role':'user','content':'a'}");
    same(
        "{'role':'user','content':'a\\nb'}",
        "{'role':'user','content':[{'type':'text','text':'a','cache_control':{'type':'ephemeral'}},"
            + "{'type':'text','text':''},{'type':'text','text':'b'}]}");
    same(
        "{'role':'user','content':'a'},{'role':'system','content':'s'},{'role':'user','content':'b'}",
        "{'role':'user','content':'a'},{'role':'system','content':'s'},{'role':'user','content':'b'}");
    same("{'role':'user','content':''}", "{'role':'user','content':[]}");
  }

  @Test
  void oneRoleInARow_isOneTurn() throws Exception {
    same(
        "{'role':'user','content':'a\\nb\\nc'},{'role':'assistant','content':'d\\ne'},"
            + "{'role':'user','content':'f'}",
        "{'role':'user','content':'a'},{'role':'user','content':[{'type':'text','text':'b'},"
            + "{'type':'text','text':'c'}]},{'role':'assistant','content':'d'},"
            + "{'role':'assistant','content':'e'},{'role':'user','content':'f'}");
  }

  @Test
  void lastAssistant_isContinued() throws Exception {
    same(
        "continue {'role':'user','content':'a'},{'role':'assistant','content':'b '}",
        "{'role':'user','content':'a'},{'role':'assistant','content':'b '}");
    same(
        "continue {'role':'assistant','content':'','reasoning_content':'t\\nu'}",
        "{'role':'assistant','content':[{'type':'thinking','thinking':'t','signature':''},"
            + "{'type':'redacted_thinking','data':'?'},{'type':'thinking','thinking':'u'}]}");
  }

  @Test
  void results_standBeforeTheText_inTheirOrder() throws Exception {
    same(
        CALLED
            + ",{'role':'tool','tool_call_id':'b','name':'g','content':'2\\n3'},"
            + "{'role':'tool','tool_call_id':'a','name':'f','content':'Error: no'},"
            + "{'role':'user','content':'And?'}",
        CALLS
            + ",{'role':'user','content':[{'type':'text','text':'And?'},"
            + "{'type':'tool_result','tool_use_id':'b','content':["
            + "{'type':'text','text':'2'},{'type':'text','text':'3'}]},"
            + "{'type':'tool_result','tool_use_id':'a','content':'no','is_error':true}]}");
    same(
        CALLED
            + ",{'role':'tool','tool_call_id':'a','name':'f','content':''},"
            + "{'role':'tool','tool_call_id':'b','name':'g','content':''}",
        CALLS
            + ",{'role':'user','content':[{'type':'tool_result','tool_use_id':'a'}]},"
            + "{'role':'user','content':[{'type':'tool_result','tool_use_id':'b','content':[]}]}");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "messages.1 | CALLS | were found without tool_result",
        "messages.1 | CALLS,{'role':'user','content':'No.'} | immediately after: a, b",
        "messages.1 | CALLS,{'role':'user','content':[{'type':'tool_result','tool_use_id':'a'}]}"
            + " | immediately after: b",
        "messages.1 | CALLS,{'role':'system','content':'s'} | immediately after: a, b",
        "messages.2.content.0.tool_use_id | CALLS,{'role':'user','content':["
            + "{'type':'tool_result','tool_use_id':'c'}]} | 'c'",
        "messages.2.content.1.tool_use_id | CALLS,{'role':'user','content':["
            + "{'type':'tool_result','tool_use_id':'a'},"
            + "{'type':'tool_result','tool_use_id':'a'}]} | still waits",
        "messages.0.content.0.tool_use_id | {'role':'user','content':["
            + "{'type':'tool_result','tool_use_id':'a'}]} | 'a'",
        "messages.0.content.1.id | {'role':'assistant','content':["
            + "{'type':'tool_use','id':'a','name':'f','input':{}},"
            + "{'type':'tool_use','id':'a','name':'f','input':{}}]} | one tool_use only",
        "messages.0.content.0.signature | {'role':'assistant','content':["
            + "{'type':'thinking','thinking':'','signature':'thought.AAAA'}]} | as it came",
        "messages.0.content.0.input | {'role':'assistant','content':["
            + "{'type':'tool_use','id':'a','name':'f','input':'x'}]} | an object, not a string",
        "messages.0.content.0.type | {'role':'user','content':[{'type':'image','source':{}}]}"
            + " | 'image'",
        "messages.0.content.0.type | {'role':'user','content':[{'type':'thinking'}]} | 'thinking'",
        "messages.0.content.0.type | {'role':'assistant','content':[{'type':'tool_result'}]}"
            + " | must be redacted_thinking or text or thinking or tool_use",
        "messages.2.content.0.content.1.type | CALLS,{'role':'user','content':["
            + "{'type':'tool_result','tool_use_id':'a','content':[{'type':'text','text':''},"
            + "{'type':'image'}]}]} | must be text, not 'image'",
        "messages.0.role | {'role':'tool','content':'x'} | must be user or assistant",
        "messages.0.content | {'role':'user'} | is required",
        "messages.0.content | {'role':'user','content':5} | a string or an array of blocks",
        "messages.0.content.0.text | {'role':'user','content':[{'type':'text','text':5}]} | string",
        "messages.1 | {'role':'user','content':'a'},[] | an object, not an array",
      })
  void refusals(String param, String messages, String says) {
    ApiException e = assertThrows(ApiException.class, () -> read(messages.replace("CALLS", CALLS)));
    assertEquals(param, e.param());
    assertTrue(String.valueOf(e.getMessage()).contains(says), e.getMessage());
    assertEquals(400, e.status());
  }

  /** As Qwen3's own template has it: a thought belongs to the loop of calls that it led to. */
  @Test
  void qwen3_showsThoughtsOfTheLoopAlone() throws Exception {
    String results =
        ",{'role':'user','content':[{'type':'tool_result','tool_use_id':'a','content':'1'},"
            + "{'type':'tool_result','tool_use_id':'b','content':'2','is_error':true}]}";
    String called =
        """
        <|im_start|>user
        Do.<|im_end|>
        <|im_start|>assistant
        THOUGHTI do.
        <tool_call>
        {"name": "f", "arguments": {"x": 1}}
        </tool_call>
        <tool_call>
        {"name": "g", "arguments": {}}
        </tool_call><|im_end|>
        <|im_start|>user
        <tool_response>
        1
        </tool_response>
        <tool_response>
        Error: 2
        </tool_response><|im_end|>
        """;
    assertEquals(
        called.replace("THOUGHT", "<think>\nHm.\n</think>\n\n") + "<|im_start|>assistant\n",
        qwen3(CALLS + results));
    assertEquals(
        called.replace("THOUGHT", "")
            + "<|im_start|>assistant\nDone.<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n"
            + "<|im_start|>assistant\n<think>\n\n</think>\n\nI",
        qwen3(
            CALLS
                + results
                + ",{'role':'assistant','content':'Done.'},{'role':'user','content':'And?'},"
                + "{'role':'assistant','content':'I'}"));
  }

  private static String qwen3(String messages) throws Exception {
    ObjectNode chat = Json.MAPPER.createObjectNode();
    ObjectNode body =
        (ObjectNode) Json.MAPPER.readTree(("{'messages':[" + messages + "]}").replace('\'', '"'));
    if (Conversation.read(new RequestFields(body), chat.putArray("messages"))) {
      chat.put("add_generation_prompt", false).put("continue_final_message", true);
    }
    try (InputStream template =
        ConversationTest.class.getResourceAsStream(
            "/io/tercel/server/text/templates/qwen3.jinja")) {
      String source = new String(template.readAllBytes(), StandardCharsets.UTF_8);
      return ChatPrompt.render(
          new RequestFields(chat), ChatTemplate.parse(source, Map.of("eos_token", "<|im_end|>")));
    }
  }

  /** Half a megabyte that unpacks to far more than any thought is: damaged, not in memory. */
  @Test
  void packedThought_isBounded() {
    String packed = ThoughtSignature.of("x".repeat(64 << 20), true);
    assertTrue(packed.length() < 1 << 20);
    assertEquals(null, ThoughtSignature.thoughtIn(packed));
    String thought = "é".repeat(1 << 20);
    assertEquals(thought, ThoughtSignature.thoughtIn(ThoughtSignature.of(thought, true)));
  }
}
