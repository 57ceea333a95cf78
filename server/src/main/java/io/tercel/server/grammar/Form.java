package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What a text must look like, as a request says it. Equal forms have the same texts. */
public sealed interface Form {

  /** The request's field that says it, for refusals. */
  String path();

  /**
   * The texts of this form.
   *
   * @throws GrammarException if there are none, or the form uses what is not supported, or is too
   *     complex
   */
  Grammar compile();

  /** Whether the text may begin with white space that is no part of it. */
  boolean takesLeadingSpace();

  /** One of these texts. */
  record Choice(List<String> texts, String path) implements Form {
    public Choice {
      texts = List.copyOf(texts);
    }

    @Override
    public boolean takesLeadingSpace() {
      return false;
    }

    @Override
    public Grammar compile() {
      Grammar.Builder builder = new Grammar.Builder(path);
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      int end = nfa.node();
      for (String text : texts) {
        nfa.epsilon(nfa.literal(start, text.getBytes(StandardCharsets.UTF_8)), end);
      }
      return root(builder, nfa, start, end, path);
    }
  }

  /** A text that matches as a whole. */
  record Pattern(String regex, String path) implements Form {
    @Override
    public boolean takesLeadingSpace() {
      return false;
    }

    @Override
    public Grammar compile() {
      Grammar.Builder builder = new Grammar.Builder(path);
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      int end = RegexParser.whole(regex, path).write(nfa, start, Spelling.PLAIN);
      return root(builder, nfa, start, end, path);
    }
  }

  /** A JSON text that a schema describes. */
  record Schema(JsonNode schema, String path) implements Form {
    @Override
    public boolean takesLeadingSpace() {
      return true;
    }

    @Override
    public Grammar compile() {
      return smallEnough(this::compile);
    }

    /** The same with its unions written in this way. */
    Grammar compile(SchemaRules.Unions unions) {
      Grammar.Builder builder = new Grammar.Builder(path);
      JsonRules json = new JsonRules(builder);
      SchemaRules rules = new SchemaRules(builder, json, unions, schema, path);
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      int end = rules.write(nfa, json.leadingSpace(nfa, start));
      rules.finish();
      json.finish();
      return root(builder, nfa, start, end, path);
    }
  }

  /** Any JSON object. */
  record AnyObject(String path) implements Form {
    @Override
    public boolean takesLeadingSpace() {
      return true;
    }

    @Override
    public Grammar compile() {
      Grammar.Builder builder = new Grammar.Builder(path);
      JsonRules json = new JsonRules(builder);
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      int end = json.anyObject(nfa, json.leadingSpace(nfa, start));
      json.finish();
      return root(builder, nfa, start, end, path);
    }
  }

  /**
   * Calls of tools as Qwen2.5 and Qwen3 write them: {@code <tool_call>}, a line with the call as
   * JSON, {@code </tool_call>}.
   *
   * @param several whether there may be more than one, a line break between them
   */
  record ToolCalls(List<Tool> tools, boolean several, String path) implements Form {
    public ToolCalls {
      tools = List.copyOf(tools);
    }

    @Override
    public boolean takesLeadingSpace() {
      return true;
    }

    @Override
    public Grammar compile() {
      return smallEnough(this::compile);
    }

    private Grammar compile(SchemaRules.Unions unions) {
      Grammar.Builder builder = new Grammar.Builder(path);
      JsonRules json = new JsonRules(builder);
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      int call = json.leadingSpace(nfa, start);
      int end = nfa.node();
      for (Tool tool : tools) {
        int at = nfa.literal(call, ascii("<tool_call>\n{\"name\": "));
        at = nfa.literal(at, JsonRules.text(tool.name()));
        at =
            tool.arguments(builder, json, unions, nfa, nfa.literal(at, ascii(", \"arguments\": ")));
        nfa.epsilon(nfa.literal(at, ascii("}\n</tool_call>")), end);
      }
      if (several) {
        nfa.bytes(end, '\n', '\n', call);
      }
      json.finish();
      return root(builder, nfa, start, end, path);
    }

    private static byte[] ascii(String text) {
      return text.getBytes(StandardCharsets.US_ASCII);
    }
  }

  /**
   * A tool that may be called.
   *
   * @param parameters the schema of its arguments; null for any object
   * @param path of the parameters
   */
  record Tool(String name, @Nullable JsonNode parameters, String path) {
    private int arguments(
        Grammar.Builder builder, JsonRules json, SchemaRules.Unions unions, Nfa nfa, int from) {
      if (parameters == null) {
        return json.anyObject(nfa, from);
      }
      SchemaRules rules = new SchemaRules(builder, json, unions, parameters, path);
      int end = rules.writeObjects(nfa, from);
      rules.finish();
      return end;
    }
  }

  /** Unions are written out where that fits, else put together of what their members share. */
  private static Grammar smallEnough(Function<SchemaRules.Unions, Grammar> compiler) {
    for (SchemaRules.Unions unions : SchemaRules.Unions.values()) {
      try {
        return compiler.apply(unions);
      } catch (GrammarException e) {
        if (!e.mayBeSimpler() || unions == SchemaRules.Unions.OVERLAPPING) {
          throw e;
        }
      }
    }
    throw new IllegalStateException();
  }

  private static Grammar root(Grammar.Builder builder, Nfa nfa, int start, int end, String path) {
    int root = builder.declare();
    builder.define(root, nfa, start, end);
    return builder.build(root, path);
  }
}
