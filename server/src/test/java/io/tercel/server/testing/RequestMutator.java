package io.tercel.server.testing;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Makes bad requests of good ones: bytes flipped, lost and doubled, values of other types and sizes
 * anywhere in the body, heads that lie. What comes out may still be good by chance.
 */
public final class RequestMutator {
  private static final String CHAT =
      """
      {"messages": [{"role": "system", "content": "s"},
       {"role": "user", "content": [{"type": "text", "text": "hi"}]},
       {"role": "assistant", "content": null, "reasoning_content": "r", "tool_calls":
        [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
       {"role": "tool", "tool_call_id": "c", "content": "4"}], "max_tokens": 30,
       "temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 1, "stop": ["zzz"],
       "n": 2, "logprobs": true, "top_logprobs": 1, "stream": false, "logit_bias": {"1": 2},
       "stop_token_ids": [3], "presence_penalty": 0.5, "repetition_penalty": 1.1, "min_tokens": 2,
       "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
       "tool_choice": "auto", "parallel_tool_calls": false, "response_format": {"type": "text"},
       "chat_template_kwargs": {"enable_thinking": true}, "thinking_token_budget": 5,
       "return_token_ids": true, "model": "alias", "user": "u", "metadata": {"a": "b"}}""";
  private static final String STREAM =
      """
      {"messages": [{"role": "user", "content": "hi"}], "stream": true, "max_completion_tokens": 9,
       "stream_options": {"include_usage": true}, "reasoning_effort": "low", "n": 1}""";
  private static final String COMPLETION =
      """
      {"prompt": [[72, 105], [72]], "max_tokens": 8, "echo": true, "logprobs": 1, "n": 1,
       "stop": "zz", "ignore_eos": true, "prompt_logprobs": 1, "priority": 1, "best_of": 1}""";
  private static final String RESPONSE =
      """
      {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]},
       {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
       {"type": "function_call_output", "call_id": "c", "output": "2"}], "instructions": "i",
       "max_output_tokens": 9, "tools": [{"type": "function", "name": "f", "parameters": {}}],
       "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}, "top_logprobs": 1,
       "include": ["message.output_text.logprobs"], "stream": false, "truncation": "disabled"}""";

  private static final String MESSAGE =
      """
      {"model": "alias", "max_tokens": 1100, "system": [{"type": "text", "text": "s",
        "cache_control": {"type": "ephemeral"}}],
       "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [
         {"type": "thinking", "thinking": "r", "signature": "c2ln"},
         {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "I call."},
         {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c",
          "content": [{"type": "text", "text": "4"}], "is_error": false},
         {"type": "text", "text": "so?"}]}],
       "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
       "temperature": 0.7, "top_p": 0.9, "top_k": 5, "stop_sequences": ["zzz"], "stream": false,
       "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
       "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
       "metadata": {"user_id": "u"}, "service_tier": "auto", "output_config": {"effort": "low"}}""";

  private static final List<Map.Entry<String, String>> GOOD =
      List.of(
          Map.entry("/v1/chat/completions", CHAT),
          Map.entry("/v1/chat/completions", STREAM),
          Map.entry("/v1/completions", COMPLETION),
          Map.entry("/v1/responses", RESPONSE),
          Map.entry("/v1/messages", MESSAGE),
          Map.entry("/v1/messages", MESSAGE.replace("\"stream\": false", "\"stream\": true")),
          Map.entry("/v1/messages/count_tokens", MESSAGE),
          Map.entry("/tokenize", "{\"prompt\": \"hi\", \"return_token_strs\": true}"),
          Map.entry("/tokenize", "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}"),
          Map.entry("/detokenize", "{\"tokens\": [1, 2, 3]}"));

  private static final List<String> VALUES =
      List.of(
          "{}",
          "[]",
          "null",
          "true",
          "-1",
          "0",
          "1e999",
          "1.5",
          "99999999999999999999",
          "\"\"",
          "\"\\ud800\"",
          "\"\\u0000\"",
          "[[[[1]]]]",
          "{\"a\": {\"b\": []}}",
          "\"max\"",
          "[null]",
          "-0.0",
          "2147483648",
          "9223372036854775808",
          "\"<|im_end|>\"",
          "[\"a\", 1]",
          "1e-400");

  private final Random random;

  public RequestMutator(long seed) {
    random = new Random(seed);
  }

  /** A whole HTTP request, or half of one. */
  public byte[] next() throws JsonProcessingException {
    Map.Entry<String, String> good = pick(GOOD);
    String path = good.getKey();
    String body = good.getValue();
    return switch (random.nextInt(8)) {
      case 0 ->
          RawClient.post(path, body.substring(0, random.nextInt(body.length())))
              .getBytes(StandardCharsets.UTF_8);
      case 1 -> corrupt(path, body);
      case 2, 3, 4 -> post(path, mutated(body));
      case 5 -> post(path, body.replaceFirst("[{\\[]", deep()));
      case 6 -> lyingHead(path, body);
      default -> noise();
    };
  }

  private static byte[] post(String path, String body) {
    return RawClient.post(path, body).getBytes(StandardCharsets.UTF_8);
  }

  /** One to five bytes are others, gone or doubled; the length stays what it should be. */
  private byte[] corrupt(String path, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    for (int i = random.nextInt(5); i >= 0; i--) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(3)) {
        case 0 -> bytes[at] = (byte) random.nextInt(256);
        case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        default -> bytes[at] = bytes[random.nextInt(bytes.length)];
      }
    }
    byte[] head =
        RawClient.post(path, "x".repeat(bytes.length)).getBytes(StandardCharsets.ISO_8859_1);
    System.arraycopy(bytes, 0, head, head.length - bytes.length, bytes.length);
    return head;
  }

  /** One to three nodes anywhere have another value, are gone, or have company. */
  private String mutated(String body) throws JsonProcessingException {
    JsonNode root = Json.MAPPER.readTree(body);
    for (int i = random.nextInt(3); i >= 0; i--) {
      List<JsonNode> containers = new ArrayList<>();
      collect(root, containers);
      JsonNode value = parsed(pick(VALUES));
      switch (pick(containers)) {
        case ObjectNode object when !object.isEmpty() -> {
          String name = pick(List.copyOf(object.propertyStream().map(Map.Entry::getKey).toList()));
          switch (random.nextInt(3)) {
            case 0 -> object.remove(name);
            case 1 -> object.set(name + "s", object.get(name));
            default -> object.set(name, value);
          }
        }
        case ArrayNode array when !array.isEmpty() ->
            array.set(random.nextInt(array.size()), value);
        case ArrayNode array -> array.add(value);
        default -> {}
      }
    }
    return root.toString();
  }

  private static JsonNode parsed(String json) throws JsonProcessingException {
    return Json.MAPPER.readTree(json);
  }

  private static void collect(JsonNode node, List<JsonNode> containers) {
    if (node.isContainerNode()) {
      containers.add(node);
      node.forEach(child -> collect(child, containers));
    }
  }

  private String deep() {
    int depth = 1 + random.nextInt(5000);
    return "{\"x\": " + "[".repeat(depth) + (random.nextBoolean() ? "]".repeat(depth) + ", " : "");
  }

  private byte[] lyingHead(String path, String body) {
    String post = RawClient.post(path, body);
    String changed =
        switch (random.nextInt(9)) {
          case 0 -> post.replace("Length: ", "Length: 9");
          case 1 -> post.replace("Length: ", "Length: -");
          case 2 -> post.replace("Content-Length: ", "Content-Length: 3\r\nContent-Length: ");
          case 3 -> post.replaceFirst("Content-Length: \\d+", "Transfer-Encoding: chunked");
          case 4 -> post.replace("application/json", "text/plain");
          case 5 -> post.replaceFirst("POST", pick(List.of("PUT", "DELETE", "GET", "BREW", "")));
          case 6 -> post.replaceFirst("HTTP/1.1", "HTTP/9.9");
          case 7 -> post.replaceFirst("\r\n", "\r\n" + "x-flood: y\r\n".repeat(4000));
          default -> post.replaceFirst(path, path + pick(List.of("/", "%zz", "?q=%", "/../..")));
        };
    return changed.getBytes(StandardCharsets.UTF_8);
  }

  private byte[] noise() {
    byte[] noise = new byte[5 + random.nextInt(300)];
    random.nextBytes(noise);
    byte[] end = "\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
    byte[] all = Arrays.copyOf(noise, noise.length + end.length);
    System.arraycopy(end, 0, all, noise.length, end.length);
    return all;
  }

  private <T> T pick(List<T> values) {
    return values.get(random.nextInt(values.size()));
  }
}
