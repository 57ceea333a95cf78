package io.tercel.server.grammar;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes a form's rules. */
final class FormGrammar {
  private final Form form;
  private final SchemaRules.Unions unions;
  private final Grammar.Builder builder;
  private final JsonRules json;

  private FormGrammar(Form form, SchemaRules.Unions unions) {
    this.form = form;
    this.unions = unions;
    this.builder = new Grammar.Builder(form.path());
    this.json = new JsonRules(builder);
  }

  /**
   * The texts of a form.
   *
   * @throws GrammarException if there are none, or the form uses what is not supported, or is too
   *     complex
   */
  static Grammar of(Form form) {
    Form wanted = form;
    while (true) {
      try {
        return smallEnough(wanted);
      } catch (GrammarException e) {
        Form.CallsOrAnswer simpler =
            wanted instanceof Form.CallsOrAnswer either ? withoutSchema(either, e) : null;
        if (simpler == null) {
          throw e;
        }
        wanted = simpler;
      }
    }
  }

  /** Unions are written out where that fits, else put together of what their members share. */
  private static Grammar smallEnough(Form form) {
    for (SchemaRules.Unions unions : SchemaRules.Unions.values()) {
      try {
        return of(form, unions);
      } catch (GrammarException e) {
        if (!e.mayBeSimpler() || unions == SchemaRules.Unions.OVERLAPPING) {
          throw e;
        }
      }
    }
    throw new IllegalStateException();
  }

  static Grammar of(Form form, SchemaRules.Unions unions) {
    return new FormGrammar(form, unions).compile();
  }

  /**
   * The same with any arguments for the tool whose schema is to blame, or for all of them if the
   * form is too complex as a whole; null if none is.
   */
  private static Form.@Nullable CallsOrAnswer withoutSchema(
      Form.CallsOrAnswer form, GrammarException refusal) {
    List<Form.Tool> tools = new ArrayList<>();
    boolean changed = false;
    for (Form.Tool tool : form.calls().tools()) {
      boolean isToBlame =
          tool.parameters() != null
              && (refusal.path().equals(form.path())
                  || refusal.path().equals(tool.path())
                  || refusal.path().startsWith(tool.path() + "."));
      changed |= isToBlame;
      tools.add(isToBlame ? new Form.Tool(tool.name(), null, tool.path()) : tool);
    }
    Form.ToolCalls calls = form.calls();
    return changed
        ? new Form.CallsOrAnswer(
            new Form.ToolCalls(tools, calls.several(), calls.path()), form.answer())
        : null;
  }

  private Grammar compile() {
    Nfa nfa = builder.nfa();
    int start = nfa.node();
    int end = write(form, nfa, start);
    json.finish();
    int root = builder.declare();
    builder.define(root, nfa, start, end);
    return builder.build(root, form.path());
  }

  private int write(Form its, Nfa nfa, int from) {
    return switch (its) {
      case Form.Choice choice -> {
        int end = nfa.node();
        for (String text : choice.texts()) {
          nfa.epsilon(nfa.literal(from, text.getBytes(StandardCharsets.UTF_8)), end);
        }
        yield end;
      }
      case Form.Pattern pattern ->
          RegexParser.whole(pattern.regex(), pattern.path()).write(nfa, from, Spelling.PLAIN);
      case Form.Schema schema -> {
        SchemaRules rules = new SchemaRules(builder, json, unions, schema.schema(), schema.path());
        int end = rules.write(nfa, json.leadingSpace(nfa, from));
        rules.finish();
        yield end;
      }
      case Form.AnyObject _ -> json.anyObject(nfa, json.leadingSpace(nfa, from));
      case Form.ToolCalls calls -> calls(calls, nfa, from);
      case Form.CallsOrAnswer either -> {
        int end = nfa.node();
        for (Form one : List.of(either.calls(), either.answer())) {
          int begin = nfa.node();
          nfa.epsilon(from, begin);
          nfa.epsilon(write(one, nfa, begin), end);
        }
        yield end;
      }
    };
  }

  private int calls(Form.ToolCalls calls, Nfa nfa, int from) {
    int call = json.leadingSpace(nfa, from);
    int end = nfa.node();
    for (Form.Tool tool : calls.tools()) {
      int at = nfa.literal(call, ascii("<tool_call>\n{\"name\": "));
      at = nfa.literal(at, JsonRules.text(tool.name()));
      at = arguments(tool, nfa, nfa.literal(at, ascii(", \"arguments\": ")));
      nfa.epsilon(nfa.literal(at, ascii("}\n</tool_call>")), end);
    }
    if (calls.several()) {
      nfa.bytes(end, '\n', '\n', call);
    }
    return end;
  }

  private int arguments(Form.Tool tool, Nfa nfa, int from) {
    if (tool.parameters() == null) {
      return json.anyObject(nfa, from);
    }
    SchemaRules rules = new SchemaRules(builder, json, unions, tool.parameters(), tool.path());
    int end = rules.writeObjects(nfa, from);
    rules.finish();
    return end;
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
