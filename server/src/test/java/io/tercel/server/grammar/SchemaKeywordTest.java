package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Schemas whose keywords speak of one another, and what has their form. A | separates, so that JSON
 * needs no quotes.
 */
class SchemaKeywordTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static TokenAutomaton automaton(String schema) throws Exception {
    return TinyVocabularies.automaton(
        new Form.Schema(JSON.readTree(schema), "schema"), TinyVocabularies.pieces());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        // items begin behind the prefixItems of their own schema
        "{\"allOf\":[{\"prefixItems\":[{\"minimum\":3}]}],\"items\":{\"minimum\":5}} | [3,5] | false",
        "{\"allOf\":[{\"prefixItems\":[{\"minimum\":3}]}],\"items\":{\"minimum\":5}} | [5,5] | true",
        "{\"$ref\":\"#/$defs/p\",\"items\":false,\"$defs\":{\"p\":{\"prefixItems\":[{}]}}} | [\"a\"] | false",
        "{\"$ref\":\"#/$defs/p\",\"items\":false,\"$defs\":{\"p\":{\"prefixItems\":[{}]}}} | [] | true",
        "{\"allOf\":[{\"prefixItems\":[{},{\"type\":\"null\"}]},{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{}}]} | [1,null] | true",
        "{\"allOf\":[{\"prefixItems\":[{},{\"type\":\"null\"}]},{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{}}]} | [1,1] | false",
        "{\"items\":[{\"type\":\"integer\"}],\"additionalItems\":{\"type\":\"null\"}} | [1,null] | true",
        "{\"items\":[{\"type\":\"integer\"}],\"additionalItems\":{\"type\":\"null\"}} | [1,1] | false",
        // so are additionalProperties about the properties of their own schema
        "{\"allOf\":[{\"properties\":{\"a\":true},\"additionalProperties\":false},{\"properties\":{\"b\":true}}]} | {\"b\":1} | false",
        "{\"allOf\":[{\"properties\":{\"a\":true},\"additionalProperties\":false},{\"properties\":{\"b\":true}}]} | {\"a\":1} | true",
        "{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[2,3,4]},{\"not\":{\"const\":3}}]} | 2 | true",
        "{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[2,3,4]},{\"not\":{\"const\":3}}]} | 3 | false",
        "{\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"b$\"},{\"maxLength\":3}]} | \"acb\" | true",
        "{\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"b$\"},{\"maxLength\":3}]} | \"accb\" | false",
        "{\"pattern\":\"^https\",\"format\":\"uri\"} | \"https://a\" | true",
        "{\"pattern\":\"^https\",\"format\":\"uri\"} | \"http://a\" | false",
        // references are relative to the nearest $id
        "{\"items\":{\"$id\":\"http://x/y\",\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"null\"}}},\"$defs\":{\"n\":{\"type\":\"integer\"}}} | [null] | true",
        "{\"items\":{\"$id\":\"http://x/y\",\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"null\"}}},\"$defs\":{\"n\":{\"type\":\"integer\"}}} | [1] | false",
        "{\"$id\":\"http://x/a/root\",\"items\":{\"$ref\":\"b/it\"},\"$defs\":{\"i\":{\"$id\":\"b/it\",\"type\":\"null\"}}} | [null] | true",
        "{\"items\":{\"$ref\":\"#it\"},\"$defs\":{\"i\":{\"$anchor\":\"it\",\"type\":\"null\"}}} | [1] | false",
        "{\"const\":{\"$id\":\"q\"},\"$defs\":{\"i\":{\"$id\":\"q\"}}} | {\"$id\":\"q\"} | true",
        // exactly one
        "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2,\"type\":\"number\"}]} | 3 | false",
        "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2,\"type\":\"number\"}]} | 1 | true",
        "{\"oneOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"string\",\"pattern\":\"^a\"}]} | \"ab\" | false",
        "{\"oneOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"string\",\"pattern\":\"^a\"}]} | \"b\" | true",
        "{\"oneOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"string\",\"pattern\":\"^a\"}]} | \"abc\" | true",
        "{\"type\":\"object\",\"properties\":{\"a\":true,\"b\":true},\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]} | {\"a\":1,\"b\":1} | false",
        "{\"type\":\"object\",\"properties\":{\"a\":true,\"b\":true},\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]} | {\"b\":1} | true",
        "{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"null\"},{\"type\":\"boolean\"}]} | null | false",
        // patternProperties, propertyNames
        "{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"properties\":{\"a\":{\"type\":\"null\"}}} | {\"a\":null,\"x-b\":1} | true",
        "{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"properties\":{\"a\":{\"type\":\"null\"}}} | {\"x-b\":null} | false",
        "{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"properties\":{\"a\":{\"type\":\"null\"}}} | {\"y\":1} | false",
        "{\"patternProperties\":{\"^x\":{\"minimum\":1},\"y$\":{\"maximum\":2}},\"additionalProperties\":{\"type\":\"null\"}} | {\"xy\":2,\"x\":3,\"y\":-4,\"z\":null} | true",
        "{\"patternProperties\":{\"^x\":{\"minimum\":1},\"y$\":{\"maximum\":2}},\"additionalProperties\":{\"type\":\"null\"}} | {\"xay\":3} | false",
        "{\"patternProperties\":{\"^x\":{\"minimum\":1},\"y$\":{\"maximum\":2}},\"additionalProperties\":{\"type\":\"null\"}} | {\"z\":1} | false",
        "{\"patternProperties\":{\"^a\":{\"minimum\":1}},\"properties\":{\"ab\":{\"maximum\":2}}} | {\"ab\":0} | false",
        "{\"propertyNames\":{\"pattern\":\"^[a-z]+$\",\"maxLength\":3}} | {\"abc\":1} | true",
        "{\"propertyNames\":{\"pattern\":\"^[a-z]+$\",\"maxLength\":3}} | {\"abcd\":1} | false",
        "{\"propertyNames\":{\"enum\":[\"a\",\"é\"]}} | {\"é\":1} | true",
        "{\"propertyNames\":{\"enum\":[\"a\",\"é\"]}} | {\"b\":1} | false",
        "{\"properties\":{\"a\":{},\"bb\":{}},\"propertyNames\":{\"maxLength\":1}} | {\"bb\":1} | false",
        // counts of properties
        "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"minProperties\":2,\"maxProperties\":2} | {\"a\":1,\"c\":1} | true",
        "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"minProperties\":2,\"maxProperties\":2} | {\"b\":1} | false",
        "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"minProperties\":2,\"maxProperties\":2} | {\"a\":1,\"b\":1,\"c\":1} | false",
        "{\"type\":\"object\",\"minProperties\":1} | {} | false",
        "{\"type\":\"object\",\"minProperties\":1} | {\"x\":[]} | true",
        "{\"type\":\"object\",\"maxProperties\":0} | {\"x\":1} | false",
        "{\"properties\":{\"a\":{}},\"additionalProperties\":true,\"minProperties\":2} | {\"y\":1,\"y\":1} | false",
        "{\"properties\":{\"a\":{}},\"additionalProperties\":true,\"minProperties\":2} | {\"a\":1,\"y\":1,\"z\":1} | true",
        // not
        "{\"not\":{\"type\":[\"object\",\"string\",\"integer\"]}} | 1.5 | true",
        "{\"not\":{\"type\":[\"object\",\"string\",\"integer\"]}} | 1.0 | false",
        "{\"not\":{\"type\":[\"object\",\"string\",\"integer\"]}} | [1] | true",
        "{\"type\":\"string\",\"not\":{\"enum\":[\"ab\",\"é\"]}} | \"ab\" | false",
        "{\"type\":\"string\",\"not\":{\"enum\":[\"ab\",\"é\"]}} | \"a\" | true",
        "{\"type\":\"string\",\"not\":{\"pattern\":\"^a\"},\"minLength\":1} | \"ba\" | true",
        "{\"type\":\"string\",\"not\":{\"pattern\":\"^a\"},\"minLength\":1} | \"ab\" | false",
        "{\"type\":\"integer\",\"not\":{\"minimum\":3,\"maximum\":5}} | 4 | false",
        "{\"type\":\"integer\",\"not\":{\"minimum\":3,\"maximum\":5}} | 6 | true",
        "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"not\":{\"required\":[\"a\",\"b\"]}} | {\"a\":1} | true",
        "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"not\":{\"required\":[\"a\",\"b\"]}} | {\"a\":1,\"b\":1} | false",
        "{\"type\":\"array\",\"not\":{\"contains\":{\"type\":\"null\"}}} | [1,\"a\"] | true",
        "{\"type\":\"array\",\"not\":{\"contains\":{\"type\":\"null\"}}} | [1,null] | false",
        // if, dependents
        "{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"a\",\"b\"]},\"v\":{}},\"required\":[\"k\",\"v\"],\"if\":{\"properties\":{\"k\":{\"const\":\"a\"}}},\"then\":{\"properties\":{\"v\":{\"type\":\"integer\"}}},\"else\":{\"properties\":{\"v\":{\"type\":\"null\"}}}} | {\"k\":\"a\",\"v\":1} | true",
        "{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"a\",\"b\"]},\"v\":{}},\"required\":[\"k\",\"v\"],\"if\":{\"properties\":{\"k\":{\"const\":\"a\"}}},\"then\":{\"properties\":{\"v\":{\"type\":\"integer\"}}},\"else\":{\"properties\":{\"v\":{\"type\":\"null\"}}}} | {\"k\":\"b\",\"v\":1} | false",
        "{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"a\",\"b\"]},\"v\":{}},\"required\":[\"k\",\"v\"],\"if\":{\"properties\":{\"k\":{\"const\":\"a\"}}},\"then\":{\"properties\":{\"v\":{\"type\":\"integer\"}}},\"else\":{\"properties\":{\"v\":{\"type\":\"null\"}}}} | {\"k\":\"b\",\"v\":null} | true",
        "{\"properties\":{\"a\":{},\"b\":{}},\"dependentRequired\":{\"a\":[\"b\"]}} | {\"a\":1} | false",
        "{\"properties\":{\"a\":{},\"b\":{}},\"dependentRequired\":{\"a\":[\"b\"]}} | {\"b\":1} | true",
        "{\"properties\":{\"a\":{},\"b\":{}},\"dependencies\":{\"a\":{\"required\":[\"b\"]}}} | {\"a\":1} | false",
        // different items, items that are contained
        "{\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"b\",1,1.0]},\"minItems\":2} | [\"b\",1,\"a\"] | true",
        "{\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"b\",1,1.0]},\"minItems\":2} | [\"b\",1,\"b\"] | false",
        "{\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"b\",1,1.0]},\"minItems\":2} | [\"b\"] | false",
        "{\"uniqueItems\":true,\"items\":{\"enum\":[0,1,2,3,4,5,6,7]}} | [1,3,7] | true",
        "{\"uniqueItems\":true,\"items\":{\"enum\":[0,1,2,3,4,5,6,7]}} | [1,3,3] | false",
        "{\"uniqueItems\":true,\"items\":{\"type\":\"string\"},\"maxItems\":1} | [\"a\"] | true",
        "{\"contains\":{\"const\":1},\"items\":{\"type\":\"integer\"}} | [2,1,3] | true",
        "{\"contains\":{\"const\":1},\"items\":{\"type\":\"integer\"}} | [2,3] | false",
        "{\"contains\":{\"const\":1},\"minContains\":2,\"maxContains\":2,\"maxItems\":3} | [1,2,1] | true",
        "{\"contains\":{\"const\":1},\"minContains\":2,\"maxContains\":2,\"maxItems\":3} | [1,1,1] | false",
        // what says nothing about values
        "{\"type\":\"string\",\"format\":\"binary\",\"x-order\":3,\"nullable\":false,\"deprecated\":true,\"contentMediaType\":\"a/b\"} | \"a\" | true",
        "{\"type\":\"object\",\"unevaluatedProperties\":true,\"properties\":{\"a\":{\"nullable\":true,\"type\":\"null\"}}} | {\"a\":null} | true",
        "{\"type\":\"integer\",\"minimum\":3,\"exclusiveMinimum\":true} | 3 | false",
      })
  void form_isTheSchemas(String schema, String text, boolean expected) throws Exception {
    assertEquals(expected, TinyVocabularies.accepts(automaton(schema), text));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "uri | mailto:a@b.c | true",
        "uri | urn:isbn:0451450523 | true",
        "uri | http://[2001:db8::7]:80/x?y=z#w | true",
        "uri | http://[::ffff:1.2.3.4]/ | true",
        "uri | http://[1::2::3]/ | false",
        "uri | http://h:abc/ | false",
        "uri | a://:x | false",
        "uri | http://a/#b#c | false",
        "uri | /a/b | false",
        "uri | http://a/%4g | false",
        "uri-reference | ../a?b#c | true",
        "uri-reference | 1:b | false",
        "hostname | a-1.example | true",
        "hostname | xn--X | false",
        "hostname | aa--b | false",
        "hostname | a--b | true",
        "hostname | -a | false",
        "hostname | a_b | false",
        "email | a.b+c@d.example | true",
        "email | a..b@d.example | false",
        "email | a@-d.example | false",
        "duration | PT1H2M3S | true",
        "duration | P1DT12H | true",
        "duration | P1Y2M3DT4H5M6S | true",
        "duration | P1Y3D | false",
        "duration | PT1H3S | false",
        "duration | P2W | true",
        "duration | P1WT1H | false",
        "duration | P1DT | false",
        "ipv6 | ::1 | true",
        "ipv6 | 1:2:3:4:5:6:7:8:9 | false",
        "json-pointer | /a~1b/~0 | true",
        "json-pointer | /a~2 | false",
      })
  void format_isItsStandards(String format, String text, boolean expected) throws Exception {
    TokenAutomaton texts = automaton("{\"type\":\"string\",\"format\":\"" + format + "\"}");
    assertEquals(expected, TinyVocabularies.accepts(texts, "\"" + text + "\""));
  }

  @ParameterizedTest
  @CsvSource({"hostname,", "email,a@", "email,a.b@"})
  void names_areAsLongAsTheyMayBe(String format, String before) throws Exception {
    TokenAutomaton texts = automaton("{\"type\":\"string\",\"format\":\"" + format + "\"}");
    String start = before == null ? "" : before;
    String label = "a".repeat(63) + ".";
    String longest = start + label.repeat(3);
    int max = format.equals("email") ? 254 : 253;
    String text = longest + "b".repeat(Math.min(63, max - longest.length()));
    String rest = text.length() == max ? "" : "no longer";
    assertEquals(true, TinyVocabularies.accepts(texts, "\"" + text + "\""));
    assertEquals(false, TinyVocabularies.accepts(texts, "\"" + text + "b\""), rest);
    String local = "a".repeat(64);
    boolean isEmail = format.equals("email");
    assertEquals(isEmail, TinyVocabularies.accepts(texts, "\"" + local + "@b.c\""));
    assertEquals(false, TinyVocabularies.accepts(texts, "\"" + local + "a@b.c\""));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "{\"uniqueItems\":true,\"items\":{\"type\":\"string\"}} | schema.uniqueItems",
        "{\"properties\":{\"a\":{\"unevaluatedProperties\":false}}} | schema.properties.a.unevaluatedProperties",
        "{\"items\":{\"$dynamicRef\":\"#a\"}} | schema.items.$dynamicRef",
        "{\"items\":{\"not\":{\"multipleOf\":3}}} | schema.items.not",
        "{\"not\":true} | schema.not",
        "{\"allOf\":[{\"contains\":{\"const\":1}},{\"contains\":{\"const\":2}}]} | schema.allOf[1].contains",
        "{\"propertyNames\":{\"anyOf\":[{\"const\":\"a\"}]}} | schema.propertyNames.anyOf",
        "{\"items\":{\"$id\":\"http://x/y\",\"$ref\":\"#/$defs/n\"},\"$defs\":{\"n\":{}}} | schema.items.$ref",
        "{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"contains\":{\"type\":\"null\"},\"maxContains\":0,\"minContains\":1} | schema",
      })
  void refusal_namesTheKeyword(String schema, String path) {
    GrammarException e = assertThrows(GrammarException.class, () -> automaton(schema));
    assertEquals(path, e.path(), e.reason());
  }
}
