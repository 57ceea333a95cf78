package io.tercel.server.text;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.JsonFault;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of a {@code tokenizer.json} and how its decoder makes bytes of them.
 *
 * <p>Read beside the native tokenizer, which decodes only to text: a token of byte-level BPE may be
 * a third of a character, and that third is what log-probs report and a stream must hold back.
 */
final class Vocabulary {
  /** What the decoder does to the sequence of tokens. */
  enum Decoder {
    /** Each token is bytes, spelled in GPT-2's alphabet; the bytes in a row are the text. */
    BYTE_LEVEL,
    /** Each token is text; the texts in a row are the text. */
    FUSE,
    /** No decoder: tokens with blanks between. */
    SPACED,
    /** A decoder whose output depends on neighbours (Metaspace, WordPiece, sequences). */
    CONTEXTUAL
  }

  private static final Pattern BYTE_TOKEN = Pattern.compile("<0x([0-9A-Fa-f]{2})>");
  private static final byte[] NOTHING = {};
  private static final short[] BYTE_OF_CHAR = byteOfChar();

  private final Map<String, Integer> ids;
  private final @Nullable String[] tokens;
  private final BitSet special;
  private final Decoder decoder;
  private final int longest;

  private Vocabulary(Map<String, Integer> ids, BitSet special, Decoder decoder) {
    this.ids = ids;
    int size = 0;
    for (int id : ids.values()) {
      size = Math.max(size, id + 1);
    }
    this.tokens = new String[size];
    ids.forEach((token, id) -> tokens[id] = token);
    this.special = special;
    this.decoder = decoder;
    int most = 1;
    for (int id = 0; id < size; id++) {
      most = Math.max(most, bytes(id).length);
    }
    this.longest = most;
  }

  /**
   * Reads a tokenizer's file.
   *
   * @throws IOException in one line that names the file, if it is missing or malformed
   */
  static Vocabulary read(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IOException("no tokenizer: " + file + " does not exist");
    }
    Map<String, Integer> ids = new HashMap<>();
    BitSet special = new BitSet();
    JsonNode decoder = new ObjectMapper().nullNode();
    boolean found = false;
    try (JsonParser in = new JsonFactory(new ObjectMapper()).createParser(file.toFile())) {
      in.setCodec(new ObjectMapper());
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw new IOException(file + " is no tokenizer: it is not a JSON object");
      }
      while (in.nextToken() == JsonToken.FIELD_NAME) {
        String field = in.currentName();
        in.nextToken();
        switch (field) {
          case "model" -> found = readModel(in, ids);
          case "decoder" -> decoder = in.readValueAsTree();
          case "added_tokens" -> readAdded(in.readValueAsTree(), ids, special);
          default -> in.skipChildren();
        }
      }
    } catch (JsonProcessingException e) {
      throw new IOException(file + " is no tokenizer: " + JsonFault.of(e), e);
    }
    if (!found) {
      throw new IOException(file + " is no tokenizer: it has no model with a vocabulary");
    }
    return new Vocabulary(ids, special, kind(decoder));
  }

  private static boolean readModel(JsonParser in, Map<String, Integer> ids) throws IOException {
    boolean found = false;
    if (in.currentToken() != JsonToken.START_OBJECT) {
      in.skipChildren();
      return false;
    }
    while (in.nextToken() == JsonToken.FIELD_NAME) {
      String field = in.currentName();
      JsonToken value = in.nextToken();
      if (!field.equals("vocab")) {
        in.skipChildren();
        continue;
      }
      found = true;
      if (value == JsonToken.START_OBJECT) {
        while (in.nextToken() == JsonToken.FIELD_NAME) {
          String token = in.currentName();
          // An added token of the same text keeps its own id.
          ids.putIfAbsent(token, in.nextIntValue(0));
        }
      } else {
        // Unigram: pairs of piece and score, in the order of their ids.
        JsonNode pieces = in.readValueAsTree();
        for (int id = 0; id < pieces.size(); id++) {
          ids.putIfAbsent(pieces.get(id).path(0).asText(), id);
        }
      }
    }
    return found;
  }

  private static void readAdded(JsonNode added, Map<String, Integer> ids, BitSet special) {
    for (JsonNode token : added) {
      int id = token.path("id").asInt();
      ids.put(token.path("content").asText(), id);
      special.set(id, token.path("special").asBoolean());
    }
  }

  private static Decoder kind(JsonNode decoder) {
    return switch (decoder.path("type").asText()) {
      case "ByteLevel" -> Decoder.BYTE_LEVEL;
      case "Fuse" -> Decoder.FUSE;
      case "" -> Decoder.SPACED;
      case "Sequence" -> {
        JsonNode parts = decoder.path("decoders");
        yield parts.size() == 1 ? kind(parts.get(0)) : Decoder.CONTEXTUAL;
      }
      default -> Decoder.CONTEXTUAL;
    };
  }

  Decoder decoder() {
    return decoder;
  }

  /** One more than the highest id. */
  int size() {
    return tokens.length;
  }

  /** Bytes of the longest token, at least 1. */
  int longest() {
    return longest;
  }

  boolean isSpecial(int id) {
    return id >= 0 && special.get(id);
  }

  /** The id of a token as the file spells it, or -1. */
  int id(String token) {
    return ids.getOrDefault(token, -1);
  }

  boolean exists(int id) {
    return id >= 0 && id < tokens.length && tokens[id] != null;
  }

  /** The bytes an id stands for by itself; none where there is no such token. */
  byte[] bytes(int id) {
    String token = id >= 0 && id < tokens.length ? tokens[id] : null;
    if (token == null) {
      return NOTHING;
    }
    return switch (decoder) {
      case BYTE_LEVEL -> byteLevel(token);
      case FUSE, SPACED -> token.getBytes(StandardCharsets.UTF_8);
      case CONTEXTUAL -> {
        Matcher single = BYTE_TOKEN.matcher(token);
        yield single.matches()
            ? new byte[] {(byte) Integer.parseInt(single.group(1), 16)}
            : token.replace('\u2581', ' ').getBytes(StandardCharsets.UTF_8);
      }
    };
  }

  /** Bytes by GPT-2's alphabet; a token with a character outside it is its own UTF-8. */
  private static byte[] byteLevel(String token) {
    byte[] bytes = new byte[token.length()];
    for (int i = 0; i < bytes.length; i++) {
      char c = token.charAt(i);
      if (c >= BYTE_OF_CHAR.length || BYTE_OF_CHAR[c] < 0) {
        return token.getBytes(StandardCharsets.UTF_8);
      }
      bytes[i] = (byte) BYTE_OF_CHAR[c];
    }
    return bytes;
  }

  /**
   * GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes are characters from 256
   * on (see "Language Models are Unsupervised Multitask Learners", 2019, and its encoder.py).
   */
  private static short[] byteOfChar() {
    short[] table = new short[256 + 68];
    Arrays.fill(table, (short) -1);
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      table[printable ? b : next++] = (short) b;
    }
    return table;
  }
}
