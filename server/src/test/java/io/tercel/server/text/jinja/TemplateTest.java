package io.tercel.server.text.jinja;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

final class TemplateTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final ZonedDateTime NOW = ZonedDateTime.of(2026, 3, 7, 9, 5, 1, 0, ZoneOffset.UTC);

  private static JsonNode snippetFile() throws IOException {
    return MAPPER.readTree(
        Path.of("src/test/resources/io/tercel/server/text/goldens/snippets.json").toFile());
  }

  static List<JsonNode> snippets() throws IOException {
    List<JsonNode> snippets = new ArrayList<>();
    snippetFile().get("snippets").forEach(snippets::add);
    return snippets;
  }

  private static String render(String source, Map<String, ?> variables) {
    return Template.parse(source).render(variables, () -> NOW);
  }

  /** Each construct against Python's jinja2; see src/test/goldens/snippets.py. */
  @ParameterizedTest
  @MethodSource("snippets")
  void snippet_asJinja2(JsonNode snippet) throws IOException {
    Map<String, Object> variables =
        MAPPER.convertValue(snippetFile().get("variables"), new TypeReference<>() {});
    String source = snippet.get("template").asText();
    if (snippet.has("text")) {
      assertEquals(snippet.get("text").asText(), render(source, variables));
    } else {
      TemplateException e = assertThrows(TemplateException.class, () -> render(source, variables));
      assertEquals(1, e.getMessage().lines().count());
      assertTrue(e.line() >= 1, e.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '~',
      quoteCharacter = '`',
      value = {
        "{% include 'x' %} ~ 1 ~ the tag 'include' is not supported",
        "{% import 'x' as y %} ~ 1 ~ the tag 'import' is not supported",
        "{{ 1 | nonsense }} ~ 1 ~ no filter named 'nonsense'",
        "{{ 1 is nonsense }} ~ 1 ~ no test named 'nonsense'",
        "{% for x in y recursive %}{% endfor %} ~ 1 ~ 'recursive' loops are not supported",
        "{{ f(*a, 1) }} ~ 1 ~ an argument stands behind",
        "{{ f(*a, *b) }} ~ 1 ~ an argument stands behind",
        "{% if x %} ~ 1 ~ the template ends before",
      })
  void parse_refusesByName(String source, int line, String reason) {
    TemplateException e = assertThrows(TemplateException.class, () -> Template.parse(source));
    assertEquals(line, e.line());
    assertTrue(e.reason().startsWith(reason), e.reason());
  }

  @Test
  void error_namesTheLine() {
    TemplateException e =
        assertThrows(
            TemplateException.class,
            () -> render("a\n{% if true %}\n\n{{ x.y }}{% endif %}", Map.of()));
    assertEquals("chat template, line 4: 'x' is undefined", e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% for a in range(1000000000) %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000000 }}",
        "{{ 'xxxxxxxxxx' * 9223372036854775807 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('x', 'xxxxxxxx') %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | tojson }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s == ns.s }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ 10 ** 1000000000 }}",
        "{{ -(-9223372036854775807 - 1) }}",
        "{{ 'a' | indent(1000000) | length + 'x' | indent(99, true) * 99999999 }}",
      })
  void hostileTemplate_ends(String source) {
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> assertThrows(TemplateException.class, () -> render(source, Map.of())));
  }

  @Test
  void deepNesting_isRefused() {
    String deep = "(".repeat(50_000) + "1" + ")".repeat(50_000);
    assertThrows(TemplateException.class, () -> Template.parse("{{ " + deep + " }}"));
    String blocks = "{% if 1 %}".repeat(50_000);
    assertThrows(TemplateException.class, () -> Template.parse(blocks));
    String sum = "{{ 1" + " + 1".repeat(100_000) + " }}";
    assertThrows(TemplateException.class, () -> render(sum, Map.of()));
    Object nested = 1;
    for (int i = 0; i < 10_000; i++) {
      nested = List.of(nested);
    }
    Object input = nested;
    assertThrows(TemplateException.class, () -> render("{{ x }}", Map.of("x", input)));
  }

  @Test
  void strftime_readsTheClock() {
    assertEquals(
        "07 Mar 2026, Saturday March 09:05:01 7 %",
        render("{{ strftime_now('%d %b %Y, %A %B %H:%M:%S %-d %%') }}", Map.of()));
  }

  @Test
  void error_ofALongText_isOneShortLine() {
    TemplateException e =
        assertThrows(
            TemplateException.class,
            () -> render("{{ raise_exception(x) }}", Map.of("x", "a\nb" + "c".repeat(9999))));
    assertEquals(1, e.getMessage().lines().count());
    assertTrue(e.getMessage().length() < 600);
    assertFalse(e.reason().isEmpty());
  }
}
