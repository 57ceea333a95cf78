package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Schemas and what has their form, byte by byte. A | separates, so that JSON needs no quotes. */
class SchemaFormTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static TokenAutomaton automaton(String schema) throws Exception {
    return TinyVocabularies.automaton(
        new Form.Schema(JSON.readTree(schema), "schema"), TinyVocabularies.pieces());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = true,
      quoteCharacter = '\u0001',
      value = {
        "{\"type\":\"null\"} | null | true",
        "{\"type\":\"null\"} | nul | false",
        "{\"type\":\"boolean\"} | false | true",
        "{\"type\":[\"boolean\",\"null\"]} | null | true",
        "{\"type\":[\"boolean\",\"null\"]} | 0 | false",
        "{\"type\":\"integer\"} | -120 | true",
        "{\"type\":\"integer\"} | 012 | false",
        "{\"type\":\"integer\"} | -0 | false",
        "{\"type\":\"integer\"} | 1.0 | false",
        "{\"type\":\"integer\"} | 999999999999999999 | true",
        "{\"type\":\"integer\"} | 1000000000000000000 | false",
        "{\"type\":\"number\"} | -0.5e+10 | true",
        "{\"type\":\"number\"} | 7 | true",
        "{\"type\":\"number\"} | 1. | false",
        "{\"type\":\"number\"} | .5 | false",
        "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105} | -12 | true",
        "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105} | -13 | false",
        "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105} | 0 | true",
        "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105} | 105 | true",
        "{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105} | 106 | false",
        "{\"type\":\"integer\",\"exclusiveMinimum\":2.5,\"exclusiveMaximum\":5} | 3 | true",
        "{\"type\":\"integer\",\"exclusiveMinimum\":2.5,\"exclusiveMaximum\":5} | 2 | false",
        "{\"type\":\"integer\",\"exclusiveMinimum\":2.5,\"exclusiveMaximum\":5} | 5 | false",
        "{\"type\":\"string\"} | \"a\\n\\u00e9é🦅\\\"\" | true",
        "{\"type\":\"string\"} | \"\\ud83e\\udd85\" | true",
        "{\"type\":\"string\"} | \"\\ud83e\" | false",
        "{\"type\":\"string\"} | \"\\x\" | false",
        "{\"type\":\"string\"} | \"a | false",
        "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3} | \"é🦅\" | true",
        "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3} | \"é\" | false",
        "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3} | \"abcd\" | false",
        "{\"type\":\"string\",\"minLength\":2} | \"abcd\" | true",
        "{\"type\":\"string\",\"minLength\":2} | \"a\" | false",
        "{\"type\":\"string\",\"pattern\":\"^a+b$\"} | \"aab\" | true",
        "{\"type\":\"string\",\"pattern\":\"^a+b$\"} | \"aabb\" | false",
        "{\"type\":\"string\",\"pattern\":\"b\"} | \"abc\" | true",
        "{\"type\":\"string\",\"pattern\":\"^.\\\"\\\\\\\\$\"} | \"x\\\"\\\\\" | true",
        "{\"pattern\":\"^a+b?$\",\"maxLength\":3} | \"aab\" | true",
        "{\"pattern\":\"^a+b?$\",\"maxLength\":3} | \"aaab\" | false",
        "{\"pattern\":\"^a+b?$\",\"minLength\":3} | \"aab\" | true",
        "{\"pattern\":\"^a+b?$\",\"minLength\":3} | \"aaaaaaaaab\" | true",
        "{\"pattern\":\"^a+b?$\",\"minLength\":3} | \"ab\" | false",
        "{\"pattern\":\"é\",\"minLength\":2,\"maxLength\":2} | \"é🦅\" | true",
        "{\"pattern\":\"é\",\"minLength\":2,\"maxLength\":2} | \"🦅é\" | true",
        "{\"pattern\":\"é\",\"minLength\":2,\"maxLength\":2} | \"éé🦅\" | false",
        "{\"pattern\":\"é\",\"minLength\":2,\"maxLength\":2} | \"é\" | false",
        "{\"pattern\":\"^(a*)*$\",\"minLength\":1,\"maxLength\":2} | \"\" | false",
        "{\"pattern\":\"^(a*)*$\",\"minLength\":1,\"maxLength\":2} | \"aa\" | true",
        "{\"pattern\":\"^[^a]$\",\"maxLength\":1} | \"\\\"\" | true",
        "{\"pattern\":\"^[a-z]+$\",\"maxLength\":2000} | \"abc\" | true",
        "{\"format\":\"email\",\"maxLength\":7} | \"ab@c.de\" | true",
        "{\"format\":\"email\",\"maxLength\":7} | \"abc@c.de\" | false",
        "{\"format\":\"date\",\"minLength\":3,\"maxLength\":99} | \"2024-02-29\" | true",
        "{\"type\":\"string\",\"format\":\"date\"} | \"2024-02-29\" | true",
        "{\"type\":\"string\",\"format\":\"date\"} | \"2023-02-29\" | false",
        "{\"type\":\"string\",\"format\":\"date\"} | \"1900-02-29\" | false",
        "{\"type\":\"string\",\"format\":\"date\"} | \"2000-02-29\" | true",
        "{\"type\":\"string\",\"format\":\"date\"} | \"2024-04-31\" | false",
        "{\"type\":\"string\",\"format\":\"time\"} | \"23:59:59.5Z\" | true",
        "{\"type\":\"string\",\"format\":\"date-time\"} | \"2024-12-31T00:00:00+02:00\" | true",
        "{\"type\":\"string\",\"format\":\"uuid\"} | \"123e4567-e89b-12d3-a456-426614174000\" | true",
        "{\"type\":\"string\",\"format\":\"email\"} | \"a.b@c.de\" | true",
        "{\"type\":\"string\",\"format\":\"email\"} | \"a.b@cde\" | false",
        "{\"type\":\"string\",\"format\":\"ipv4\"} | \"10.0.0.255\" | true",
        "{\"type\":\"string\",\"format\":\"ipv4\"} | \"10.0.0.256\" | false",
        "{\"type\":\"string\",\"format\":\"uri\"} | \"https://a.b/c?d=1#e\" | true",
        "{\"enum\":[\"a\",1,null,[1,2]]} | [1,2] | true",
        "{\"enum\":[\"a\",1,null]} | \"a\" | true",
        "{\"enum\":[\"a\",1],\"type\":\"string\"} | 1 | false",
        "{\"enum\":[1,5,7.5,\"a\"],\"minimum\":3} | 1 | false",
        "{\"enum\":[1,5,7.5,\"a\"],\"minimum\":3} | 7.5 | true",
        "{\"enum\":[1,5,7.5,\"a\"],\"minimum\":3} | \"a\" | true",
        "{\"enum\":[1,5,7.5],\"multipleOf\":5} | 5 | true",
        "{\"type\":[\"string\",\"integer\"],\"minimum\":2,\"maximum\":1} | \"a\" | true",
        "{\"enum\":[1,5,7.5],\"multipleOf\":5} | 7.5 | false",
        "{\"enum\":[\"a\",\"abc\"],\"type\":\"string\",\"minLength\":2} | \"abc\" | true",
        "{\"enum\":[\"a\",\"abc\"],\"type\":\"string\",\"minLength\":2} | \"a\" | false",
        "{\"enum\":[\"ab\",\"ba\"],\"pattern\":\"^a\"} | \"ab\" | true",
        "{\"enum\":[\"ab\",\"ba\"],\"pattern\":\"^a\"} | \"ba\" | false",
        "{\"enum\":[\"2024-02-29\",\"x\"],\"format\":\"date\"} | \"x\" | false",
        "{\"enum\":[[1],[1,2]],\"minItems\":2} | [1,2] | true",
        "{\"enum\":[[1],[1,2]],\"minItems\":2} | [1] | false",
        "{\"enum\":[[1,\"a\"],[\"a\",1]],\"prefixItems\":[{\"type\":\"integer\"}]} | [\"a\",1] | false",
        "{\"enum\":[{\"a\":1},{\"b\":1}],\"required\":[\"b\"]} | {\"a\":1} | false",
        "{\"enum\":[{\"a\":1},{\"b\":1}],\"required\":[\"b\"]} | {\"b\":1} | true",
        "{\"enum\":[{\"a\":1},{\"a\":2}],\"properties\":{\"a\":{\"maximum\":1}}} | {\"a\":2} | false",
        "{\"enum\":[{\"a\":1},{\"b\":2}],\"properties\":{\"a\":true},\"additionalProperties\":false} | {\"b\":2} | false",
        "{\"enum\":[1,2],\"const\":2.0} | 2.0 | true",
        "{\"enum\":[1,\"a\",null],\"anyOf\":[{\"type\":\"string\"},{\"minimum\":2,\"type\":\"number\"}]} | \"a\" | true",
        "{\"enum\":[1,\"a\",null],\"anyOf\":[{\"type\":\"string\"},{\"minimum\":2,\"type\":\"number\"}]} | 1 | false",
        "{\"enum\":[{\"a\":[]},{\"a\":[{}]}],\"properties\":{\"a\":{\"items\":{\"$ref\":\"#\"}}}} | {\"a\":[]} | true",
        "{\"enum\":[{\"a\":[]},{\"a\":[{}]}],\"properties\":{\"a\":{\"items\":{\"$ref\":\"#\"}}}} | {\"a\":[{}]} | false",
        "{\"const\":\"x\\\"y\"} | \"x\\\"y\" | true",
        "{\"type\":\"object\"} | {} | true",
        "{\"type\":\"object\"} | {\"a\":[1,{\"b\":null}], \"c\": \"d\"} | true",
        "{\"type\":\"object\"} | {\"a\"} | false",
        "{\"type\":\"object\"} | {\"a\":1,} | false",
        "{\"type\":\"object\",\"additionalProperties\":false} | {} | true",
        "{\"type\":\"object\",\"additionalProperties\":false} | {\"a\":1} | false",
        "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}} | {\"a\":1,\"b\":2} | true",
        "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}} | {\"a\":\"\"} | false",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}} | [] | true",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}} | [ 1, 2,3 ] | true",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}} | [1,] | false",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3} | [1] | false",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3} | [1,2,3] | true",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3} | [1,2,3,4] | false",
        "{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":false} | [1,\"a\"] | true",
        "{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":false} | [1,\"a\",2] | false",
        "{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":\"null\"}} | [1,null,null] | true",
        "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]} | \"s\" | true",
        "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]} | 5 | true",
        "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]} | null | false",
        "{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":5},{\"maximum\":7}]} | 7 | true",
        "{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":5},{\"maximum\":7}]} | 8 | false",
        "{} | [{\"a\":[]}] | true",
        "true | \"x\" | true",
      })
  void form_isTheSchemas(String schema, String text, boolean expected) throws Exception {
    assertEquals(expected, TinyVocabularies.accepts(automaton(schema), text));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "{\"a\":1,\"b\":true,\"c\":null} | true",
        "{\"a\":1, \"c\": null} | true",
        "{\"b\":true,\"c\":null} | false",
        "{\"a\":1} | false",
        "{\"c\":null,\"a\":1} | false",
        "{\"a\":1,\"c\":null,\"d\":\"x\"} | true",
        "{\"a\":1,\"c\":null,\"d\":\"x\",\"bb\":\"\"} | true",
        "{\"a\":1,\"c\":null,\"b\":\"x\"} | false",
        "{\"a\":1,\"c\":null,\"\\u0062\":\"x\"} | false",
        "{\"a\":1,\"c\":null,\"\":\"x\"} | true",
        "{\"a\":1,\"c\":null,\"é\":\"x\"} | true",
        "{\"a\":1,\"c\":null,\"d\":1} | false",
      })
  void object_requiredOptionalAndOther(String text, boolean expected) throws Exception {
    String schema =
        """
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"},
         "c": {"type": "null"}}, "required": ["a", "c"],
         "additionalProperties": {"type": "string"}}""";
    assertEquals(expected, TinyVocabularies.accepts(automaton(schema), text));
  }

  @Test
  void space_isBounded() throws Exception {
    TokenAutomaton any = automaton("{\"type\":\"object\"}");
    String pretty = "{\n  \"a\": [\n    1,\n    2\n  ],\n\t\"b\": {}\n}";
    assertEquals(true, TinyVocabularies.accepts(any, pretty));
    assertEquals(true, TinyVocabularies.accepts(any, "\n\n{ }"));
    assertEquals(false, TinyVocabularies.accepts(any, "\n\n\n{}"));
    assertEquals(false, TinyVocabularies.accepts(any, "{  }"));
    assertEquals(false, TinyVocabularies.accepts(any, "{\n\n}"));
    assertEquals(true, TinyVocabularies.accepts(any, "{\n" + " ".repeat(32) + "}"));
    assertEquals(false, TinyVocabularies.accepts(any, "{\n" + " ".repeat(33) + "}"));
    assertEquals(false, TinyVocabularies.accepts(any, "{} "));
  }

  @Test
  void reference_mayRecur() throws Exception {
    TokenAutomaton list =
        automaton(
            """
            {"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"},
               "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
               "required": ["v", "next"], "additionalProperties": false}},
             "$ref": "#/$defs/node"}""");
    String text = "null";
    for (int i = 0; i < 500; i++) {
      text = "{\"v\":" + i + ",\"next\":" + text + "}";
    }
    assertEquals(true, TinyVocabularies.accepts(list, text));
    assertEquals(false, TinyVocabularies.accepts(list, text + "}"));
    TokenAutomaton tree = automaton("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}");
    assertEquals(true, TinyVocabularies.accepts(tree, "[[],[[[]]]]"));
    assertEquals(false, TinyVocabularies.accepts(tree, "[1]"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "{\"properties\":{\"a\":{\"multipleOf\":0.3}}} | schema.properties.a.multipleOf",
        "{\"type\":\"array\",\"uniqueItems\":true} | schema.uniqueItems",
        "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"not\":{}}]}} | schema.items.anyOf[0].not",
        "{\"$defs\":{\"x\":{\"unevaluatedItems\":false}},\"items\":{\"$ref\":\"#/$defs/x\"}} | schema.$defs.x.unevaluatedItems",
        "{\"type\":\"strnig\"} | schema.type",
        "{\"$ref\":\"#\"} | schema",
        "{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]} | schema",
        "{\"$ref\":\"http://x/y\"} | schema.$ref",
        "{\"$ref\":\"#/$defs/none\"} | schema.$ref",
        "{\"type\":\"string\",\"pattern\":\"(?=a)\"} | schema.pattern",
        "{\"type\":\"string\",\"pattern\":\"(\"} | schema.pattern",
        "{\"type\":\"integer\",\"minimum\":2,\"maximum\":1} | schema",
        "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]} | schema",
        "{\"type\":\"string\",\"maxLength\":-1} | schema.maxLength",
        "{\"items\":{\"pattern\":\"^a{3}$\",\"maxLength\":2}} | schema.items",
        "{\"items\":{\"minLength\":3,\"maxLength\":2}} | schema.items",
        "{\"items\":{\"minItems\":3,\"maxItems\":2}} | schema.items",
        "{\"pattern\":\"^[ab]*a[ab]{19}$\",\"maxLength\":2000} | schema",
        "{\"enum\":[]} | schema.enum",
        "{\"items\":{\"enum\":[\"a\"],\"minLength\":2}} | schema.items",
        "{\"items\":{\"enum\":[\"a\"],\"type\":\"null\"}} | schema.items",
        "{\"enum\":[1],\"const\":2} | schema",
        "{\"enum\":[\"a\"],\"pattern\":\"(\"} | schema.pattern",
        "{\"enum\":[1e400],\"type\":\"integer\"} | schema",
        "{\"enum\":[1e400],\"minimum\":1} | schema",
        "[1] | schema",
        "{\"type\":\"array\",\"minItems\":1000000000} | schema",
        "{\"type\":\"string\",\"pattern\":\"((a{1000}){1000}){1000}\"} | schema",
        "{\"type\":\"string\",\"pattern\":\"[ab]*a[ab]{30}\"} | schema",
        "{\"type\":\"string\",\"pattern\":\"((((((a*)*)*)*)*)*){9999}b\"} |",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":9000},\"minItems\":2} |",
      })
  void refusal_namesThePlaceSoon(String schema, String path) {
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> {
          if (path == null) {
            automaton(schema);
            return;
          }
          GrammarException e = assertThrows(GrammarException.class, () -> automaton(schema));
          String where = e.path().isEmpty() ? "" : e.path();
          assertEquals(true, where.startsWith(path), where + ": " + e.reason());
        });
  }
}
