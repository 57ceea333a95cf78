package io.tercel.server.request;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.format.JsonFault;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.engine.AnswerForm;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.Thinking;
import io.tercel.server.grammar.Form;
import io.tercel.server.grammar.TokenAutomaton;
import io.tercel.server.model.ServedModel;
import io.tercel.server.text.PromptThought;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the fields of a request that give its answer a form, or ask for calls of tools. There may
 * be one form at most.
 */
public final class FormReader {
  private static final int MAX_CHOICES = 4096;
  private static final String STRUCTURED = "structured_outputs";

  private final RequestFields fields;
  private final ServedModel model;
  private final List<Form> forms = new ArrayList<>();
  private final @Nullable Form form;
  private final @Nullable TokenAutomaton automaton;

  /**
   * Reads, checks and compiles them.
   *
   * @throws ApiException that names the field, if one is wrong or there are two forms
   */
  public FormReader(RequestFields fields, ServedModel model) {
    this.fields = fields;
    this.model = model;
    responseFormat();
    structuredOutputs();
    guided();
    if (forms.size() > 1) {
      String path = forms.get(1).path();
      throw ApiException.invalid(
          path,
          "%s can't be combined with %s: an answer has one form"
              .formatted(path, forms.getFirst().path()));
    }
    this.form = withCalls(forms.isEmpty() ? null : forms.getFirst());
    this.automaton = form == null ? null : model.forms().automaton(form);
  }

  private void responseFormat() {
    RequestFields format = fields.fields("response_format");
    if (format == null) {
      return;
    }
    String type = RequestFields.string(format.require("type"), format.path("type"));
    switch (type) {
      case "text" -> {}
      case "json_object" -> {
        JsonNode schema = format.get("schema"); // as llama.cpp's server and others take it
        forms.add(
            schema == null
                ? new Form.AnyObject(fields.path("response_format"))
                : new Form.Schema(schema, format.path("schema")));
      }
      case "json_schema" -> {
        RequestFields.of(format.require("json_schema"), format.path("json_schema"));
        RequestFields named = format.fields("json_schema");
        if (named != null) {
          named.string("name");
          named.bool("strict", false);
          forms.add(new Form.Schema(named.require("schema"), named.path("schema")));
        }
      }
      default ->
          throw ApiException.unsupported(
              format.path("type"),
              format.path("type")
                  + " must be text, json_object or json_schema, not '"
                  + (type.length() > 40 ? type.substring(0, 40) + "…" : type)
                  + "'");
    }
  }

  private void structuredOutputs() {
    RequestFields outputs = fields.fields(STRUCTURED);
    if (outputs == null) {
      return;
    }
    for (Map.Entry<String, JsonNode> entry : outputs.object().properties()) {
      JsonNode value = entry.getValue();
      String path = outputs.path(entry.getKey());
      boolean unset = value.isNull() || (value.isBoolean() && !value.booleanValue());
      switch (entry.getKey()) {
        case "choice", "json", "regex" -> {
          if (!value.isNull()) {
            add(entry.getKey(), value, path);
          }
        }
        case "json_object" -> {
          if (outputs.bool("json_object", false)) {
            forms.add(new Form.AnyObject(path));
          }
        }
        default -> {
          if (!unset) {
            throw ApiException.unsupported(
                path, path + " is not supported; use choice, json, regex or json_object");
          }
        }
      }
    }
    if (forms.isEmpty()) {
      throw ApiException.invalid(
          fields.path(STRUCTURED),
          fields.path(STRUCTURED) + " must have choice, json, regex or json_object");
    }
  }

  /** vLLM's older names. */
  private void guided() {
    for (String kind : List.of("choice", "json", "regex")) {
      String name = "guided_" + kind;
      JsonNode value = fields.get(name);
      boolean empty =
          value != null
              && (value.isTextual()
                  ? value.textValue().isEmpty()
                  : value.isArray() && value.isEmpty());
      if (value != null && !empty) {
        add(kind, value, fields.path(name));
      }
    }
  }

  private void add(String kind, JsonNode value, String path) {
    switch (kind) {
      case "choice" -> {
        if (!value.isArray() || value.isEmpty()) {
          throw RequestFields.wrongType(path, "an array of one or more strings", value);
        }
        RequestFields.requireSize(value, path, MAX_CHOICES);
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < value.size(); i++) {
          texts.add(RequestFields.string(value.get(i), path + "[" + i + "]"));
        }
        forms.add(new Form.Choice(texts, path));
      }
      case "regex" -> forms.add(new Form.Pattern(RequestFields.string(value, path), path));
      default -> forms.add(new Form.Schema(value.isTextual() ? parse(value, path) : value, path));
    }
  }

  /** A schema may be given as a text, as vLLM takes it. */
  private static JsonNode parse(JsonNode text, String path) {
    try {
      JsonNode schema = Json.MAPPER.readTree(text.textValue());
      Json.requireWellFormed(schema);
      return schema;
    } catch (JsonProcessingException e) {
      throw ApiException.invalid(
          path, path + " must be a JSON Schema, or one as a string: " + JsonFault.of(e));
    }
  }

  /**
   * What the choice of tools makes of the answer's form: calls that are asked for have no answer
   * beside them, and where the model may choose it either calls or answers.
   */
  private @Nullable Form withCalls(@Nullable Form answer) {
    JsonNode choice = fields.get("tool_choice");
    boolean several = fields.bool("parallel_tool_calls", true);
    String path = fields.path("tool_choice");
    if (choice == null || (choice.isTextual() && choice.textValue().equals("auto"))) {
      List<Form.Tool> offered = answer == null ? List.of() : tools(null);
      return answer == null || offered.isEmpty()
          ? answer
          : new Form.CallsOrAnswer(new Form.ToolCalls(offered, several, path), answer);
    }
    if (choice.isTextual() && choice.textValue().equals("none")) {
      return answer;
    }
    String name = null;
    if (choice.isObject()) {
      RequestFields named = RequestFields.of(choice, path);
      if (!RequestFields.string(named.require("type"), named.path("type")).equals("function")) {
        throw ApiException.unsupported(
            named.path("type"), named.path("type") + " must be function");
      }
      RequestFields function = RequestFields.of(named.require("function"), named.path("function"));
      name = RequestFields.string(function.require("name"), function.path("name"));
    } else if (!choice.isTextual() || !choice.textValue().equals("required")) {
      throw ApiException.invalid(
          path, path + " must be 'auto', 'none', 'required' or name a function");
    }
    List<Form.Tool> tools = tools(name);
    if (tools.isEmpty()) {
      throw name == null
          ? ApiException.invalid(path, path + " 'required' needs tools")
          : ApiException.invalid(
              path + ".function.name", path + ".function.name must be one of the tools' names");
    }
    return new Form.ToolCalls(tools, several && name == null, path);
  }

  /**
   * The functions that may be called.
   *
   * @param only the name of the one that is wanted, or null for all
   */
  private List<Form.Tool> tools(@Nullable String only) {
    JsonNode all = fields.array("tools");
    List<Form.Tool> tools = new ArrayList<>();
    for (int i = 0; all != null && i < all.size(); i++) {
      String path = fields.path("tools[" + i + "].function");
      JsonNode function = all.get(i).path("function");
      RequestFields its = RequestFields.of(function, path);
      String name = RequestFields.string(its.require("name"), its.path("name"));
      if (only == null || only.equals(name)) {
        tools.add(new Form.Tool(name, its.get("parameters"), its.path("parameters")));
      }
    }
    return tools;
  }

  /** Whether the answer has a form, be it that of calls. */
  public boolean present() {
    return form != null;
  }

  /**
   * The parameters with the form; a thought stays free.
   *
   * @param thought how far the prompt has come with it
   * @param mayThinkFirst whether the model may open one where the prompt leaves it to it
   */
  public SamplingParams addTo(SamplingParams params, PromptThought thought, boolean mayThinkFirst) {
    if (automaton == null || form == null) {
      return params;
    }
    Thinking thinking = params.thinking();
    if (thinking == null && thought == PromptThought.OPEN) {
      throw ApiException.unsupported(
          form.path(),
          form.path() + " needs a model that ends its thought with one token, or no thought");
    }
    SamplingParams bounded = params;
    if (thinking != null && !form.takesLeadingSpace()) {
      // a thought that is closed by force must leave nothing in front of the answer
      int close = thinking.closing().indexOf(thinking.closeId());
      Thinking exact =
          new Thinking(
              thinking.startsOpen(),
              thinking.openId(),
              thinking.closeId(),
              thinking.budget(),
              thinking.closing().subList(0, close + 1));
      bounded = params.watching(exact, params.ending().breakLoops());
    }
    boolean opens = mayThinkFirst && thought == PromptThought.NONE;
    return bounded.withForm(new AnswerForm(automaton, opens));
  }
}
