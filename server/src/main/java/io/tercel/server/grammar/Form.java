package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
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
  default Grammar compile() {
    return FormGrammar.of(this);
  }

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
  }

  /** A text that matches as a whole. */
  record Pattern(String regex, String path) implements Form {
    @Override
    public boolean takesLeadingSpace() {
      return false;
    }
  }

  /** A JSON text that a schema describes. */
  record Schema(JsonNode schema, String path) implements Form {
    @Override
    public boolean takesLeadingSpace() {
      return true;
    }
  }

  /** Any JSON object. */
  record AnyObject(String path) implements Form {
    @Override
    public boolean takesLeadingSpace() {
      return true;
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
  }

  /**
   * Either calls of tools, or an answer of another form. A tool whose schema can't be had may be
   * called with any object: nobody asked for more.
   */
  record CallsOrAnswer(ToolCalls calls, Form answer) implements Form {
    @Override
    public String path() {
      return answer.path();
    }

    @Override
    public boolean takesLeadingSpace() {
      return answer.takesLeadingSpace();
    }
  }

  /**
   * A tool that may be called.
   *
   * @param parameters the schema of its arguments; null for any object
   * @param path of the parameters
   */
  record Tool(String name, @Nullable JsonNode parameters, String path) {}
}
