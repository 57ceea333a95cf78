package io.tercel.kernels.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.Specimen;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temp;

  @Test
  void open_qwen3() {
    Path dir = TinyCheckpoint.qwen3().hidden(96).ffn(200).heads(6, 2, 24).vocab(151).write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      ModelConfig config = checkpoint.config();
      assertEquals(
          new ModelConfig(
              ModelConfig.Architecture.QWEN3,
              96,
              200,
              2,
              6,
              2,
              24,
              151,
              1e-6f,
              1e4,
              4096,
              true,
              List.of(150, 149)),
          config);
      assertNull(checkpoint.head());
      assertNotNull(checkpoint.layers().get(1).qNorm());
      assertNull(checkpoint.layers().get(1).q().bias());
      assertEquals(List.of(), checkpoint.unexpectedTensors());
      assertEquals(
          new GenerationDefaults(0.6f, 0.95f, 20, 0, 1, List.of(150, 149)),
          checkpoint.generationDefaults());
    }
  }

  @Test
  void open_qwen2_untied() {
    Path dir = TinyCheckpoint.qwen2().heads(4, 2, 16).dtype("F16").write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      assertEquals(ModelConfig.Architecture.QWEN2, checkpoint.config().architecture());
      assertEquals(16, checkpoint.config().headDim(), "hidden / heads");
      assertFalse(checkpoint.config().tieWordEmbeddings());
      assertNotNull(checkpoint.head());
      assertNotNull(checkpoint.layers().getFirst().v().bias());
      assertNull(checkpoint.layers().getFirst().qNorm());
      assertEquals(QuantFormat.Dense.FP16, checkpoint.layers().getFirst().o().format());
    }
  }

  @Test
  void sharded_equalsSingle() {
    Path one = TinyCheckpoint.qwen3().write(temp.resolve("one"));
    Path three = TinyCheckpoint.qwen3().shards(3).write(temp.resolve("three"));
    assertFalse(Files.exists(three.resolve("model.safetensors")));
    try (Checkpoint a = Checkpoint.open(one);
        Checkpoint b = Checkpoint.open(three)) {
      assertEquals(a.config(), b.config());
      assertSame(a.embedding().weight(), b.embedding().weight());
      assertSame(a.finalNorm(), b.finalNorm());
      for (int i = 0; i < a.layers().size(); i++) {
        assertSame(weight(a.layers().get(i).down()), weight(b.layers().get(i).down()));
        assertSame(weight(a.layers().get(i).k()), weight(b.layers().get(i).k()));
      }
    }
  }

  @Test
  void shards_mayBeLinks_asInTheHubsCache() throws IOException {
    Path real = TinyCheckpoint.qwen3().shards(2).write(temp.resolve("blobs"));
    Path linked = Files.createDirectory(temp.resolve("snapshot"));
    try (var files = Files.list(real)) {
      for (Path file : files.toList()) {
        Files.createSymbolicLink(linked.resolve(file.getFileName()), file);
      }
    }
    Checkpoint.open(linked).close();
  }

  @Test
  void newSpelling_equalsOld() {
    Path old = TinyCheckpoint.qwen3().write(temp.resolve("old"));
    Path young = TinyCheckpoint.qwen3().newSpelling(true).write(temp.resolve("new"));
    try (Checkpoint a = Checkpoint.open(old);
        Checkpoint b = Checkpoint.open(young)) {
      assertEquals(a.config(), b.config());
    }
  }

  @Test
  void biases_followTheTensors_notAttentionBias() {
    Path dir =
        TinyCheckpoint.qwen3()
            .editConfig(c -> c.put("attention_bias", false))
            .editTensors(
                t ->
                    t.put(
                        "model.layers.0.self_attn.o_proj.bias",
                        RawTensor.floats("F32", new float[64], 64)))
            .write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      assertNotNull(checkpoint.layers().get(0).o().bias());
      assertNull(checkpoint.layers().get(1).o().bias());
    }
  }

  @Test
  void unexpectedTensors_areListed_rotaryBuffersAreNot() {
    Path dir =
        TinyCheckpoint.qwen3()
            .editTensors(
                t -> {
                  RawTensor x = RawTensor.floats("F32", new float[2], 2);
                  t.put("model.layers.0.self_attn.rotary_emb.inv_freq", x);
                  t.put("visual.weight", x);
                  t.put("lm_head.weight", t.get("model.embed_tokens.weight"));
                })
            .write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      assertEquals(List.of("visual.weight", "lm_head.weight"), checkpoint.unexpectedTensors());
    }
  }

  /** What the config doesn't know of is not left out of the arithmetic in silence. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.layers.2.self_attn.q_proj.weight", // a third layer of two
        "model.layers.0.self_attn.q_norm.weight", // Qwen3's, in a Qwen2
        "model.layers.1.mlp.up_proj.weight_scale",
        "model.layers.1.mlp.up_proj.lora_A.weight",
        "model.layers.0.input_layernorm.bias",
        "model.norm.bias"
      })
  void tensorsOfTheDecoder_thatNobodyAsksFor_areRefused(String name) {
    Path dir =
        TinyCheckpoint.qwen2()
            .editTensors(t -> t.put(name, RawTensor.floats("F32", new float[32], 32)))
            .write(temp);
    String message =
        assertThrows(CheckpointException.class, () -> Checkpoint.open(dir).close()).getMessage();
    assertTrue(message.contains("tensor " + name + " is no part of the QWEN2 of 2"), message);
  }

  @Test
  void scalesForEightBitKeys_areListed() {
    String name = "model.layers.0.self_attn.k_proj.k_scale";
    Path dir =
        TinyCheckpoint.qwen2()
            .editTensors(t -> t.put(name, RawTensor.floats("F32", new float[1], 1)))
            .write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      assertEquals(List.of(name), checkpoint.unexpectedTensors());
    }
  }

  @Test
  void eosIds_numberListOrNull_areMerged() {
    assertEquals(List.of(7, 258, 256), eosOf(c -> c.put("eos_token_id", 7)));
    assertEquals(List.of(258, 3, 256), eosOf(c -> c.putArray("eos_token_id").add(258).add(3)));
    assertEquals(List.of(258, 256), eosOf(c -> c.putNull("eos_token_id")));
    assertEquals(List.of(258, 256), eosOf(c -> c.remove("eos_token_id")));
  }

  private List<Integer> eosOf(Consumer<ObjectNode> edit) {
    Path dir = TinyCheckpoint.qwen3().editConfig(edit).write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      return checkpoint.config().eosTokenIds();
    }
  }

  @Test
  void generationConfig_greedyAndAbsent() throws IOException {
    Path dir = TinyCheckpoint.qwen3().write(temp);
    Path file = dir.resolve("generation_config.json");
    Files.writeString(file, "{\"do_sample\":false,\"temperature\":0.7,\"top_k\":-1}");
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      assertEquals(
          new GenerationDefaults(0, 1, 0, 0, 1, List.of()), checkpoint.generationDefaults());
    }
    Files.delete(file);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      assertEquals(GenerationDefaults.NONE, checkpoint.generationDefaults());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"temperature\":-1}|temperature is -1",
        "{\"top_p\":0}|top_p is 0",
        "{\"top_p\":1.5}|top_p is 1.5",
        "{\"top_k\":1.5}|top_k is 1.5",
        "{\"min_p\":2}|min_p is 2",
        "{\"repetition_penalty\":0}|repetition_penalty is 0",
        "{\"do_sample\":\"no\"}|do_sample is \"no\"",
        "{\"eos_token_id\":[99999]}|eos_token_id has 99999",
        "{\"eos_token_id\":[-3]}|eos_token_id is [-3]",
        "{\"temperature\":NaN}|not valid JSON",
        "{\"top_k\":1,\"top_k\":2}|Duplicate",
        "[]|not a JSON object",
      })
  void badGenerationConfig_isRefused(String json, String expected) throws IOException {
    Path dir = TinyCheckpoint.qwen3().write(temp);
    Files.writeString(dir.resolve("generation_config.json"), json);
    assertRefused(dir, "generation_config.json", expected);
  }

  /** Each line is merged into a good config.json; a null there removes the field. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"architectures\":[\"LlamaForCausalLM\"]}|Qwen2ForCausalLM or Qwen3ForCausalLM",
        "{\"architectures\":[\"Qwen3MoeForCausalLM\"]}|Qwen3MoeForCausalLM",
        "{\"architectures\":null,\"model_type\":null}|architectures is missing",
        "{\"architectures\":null,\"model_type\":\"llama\"}|model_type is \"llama\"",
        "{\"model_type\":\"qwen2\"}|model_type is \"qwen2\"; expected qwen3",
        "{\"hidden_size\":null}|hidden_size is missing",
        "{\"hidden_size\":0}|hidden_size is 0",
        "{\"hidden_size\":\"64\"}|hidden_size is \"64\"",
        "{\"hidden_size\":64.5}|hidden_size is 64.5",
        "{\"hidden_size\":1e30}|hidden_size is 1.0E30",
        "{\"hidden_size\":99999999999}|hidden_size is 99999999999",
        "{\"hidden_size\":128}|has shape [271",
        "{\"intermediate_size\":-5}|intermediate_size is -5",
        "{\"intermediate_size\":null}|intermediate_size is missing",
        "{\"num_hidden_layers\":null}|num_hidden_layers is missing",
        "{\"num_hidden_layers\":1000000}|num_hidden_layers is 1000000",
        "{\"num_hidden_layers\":3}|model.layers.2.input_layernorm.weight is missing",
        "{\"num_attention_heads\":null}|num_attention_heads is missing",
        "{\"num_key_value_heads\":3}|num_key_value_heads is 3; expected a divisor",
        "{\"num_key_value_heads\":8}|num_key_value_heads is 8",
        "{\"num_key_value_heads\":null}|num_key_value_heads is missing",
        "{\"head_dim\":33}|head_dim is 33; expected an even",
        "{\"head_dim\":64}|q_proj.weight has shape [128, 64]; expected [256, 64]",
        "{\"head_dim\":null,\"num_attention_heads\":6}|head_dim is missing",
        "{\"vocab_size\":0}|vocab_size is 0",
        "{\"vocab_size\":270}|model.embed_tokens.weight has shape [271, 64]; expected [270, 64]",
        "{\"rms_norm_eps\":0}|rms_norm_eps is 0",
        "{\"rms_norm_eps\":null}|rms_norm_eps is missing",
        "{\"rope_theta\":null}|rope_theta is missing",
        "{\"rope_theta\":0}|rope_theta is 0",
        "{\"rope_parameters\":{\"rope_theta\":5}}|rope_theta is 10000.0; expected 5",
        "{\"rope_parameters\":{\"rope_type\":\"yarn\"}}|rope_parameters.rope_type is \"yarn\"",
        "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}|rope_scaling.type is \"linear\"",
        "{\"rope_scaling\":{\"rope_type\":\"dynamic\"}}|rope_scaling.rope_type is \"dynamic\"",
        "{\"rope_scaling\":{\"factor\":4}}|rope_scaling.factor is 4",
        "{\"rope_scaling\":\"yarn\"}|rope_scaling is \"yarn\"",
        "{\"partial_rotary_factor\":0.5}|partial_rotary_factor is 0.5",
        "{\"max_position_embeddings\":null}|max_position_embeddings is missing",
        "{\"max_position_embeddings\":-1}|max_position_embeddings is -1",
        "{\"use_sliding_window\":true}|use_sliding_window is true",
        "{\"layer_types\":[\"full_attention\",\"sliding_attention\"]}|layer_types",
        "{\"hidden_act\":\"gelu\"}|hidden_act is \"gelu\"; expected silu",
        "{\"tie_word_embeddings\":\"yes\"}|tie_word_embeddings is \"yes\"",
        "{\"tie_word_embeddings\":null}|lm_head.weight is missing",
        "{\"eos_token_id\":-1}|eos_token_id is -1",
        "{\"eos_token_id\":271}|eos_token_id is 271",
      })
  void badConfig_isRefused(String merge, String expected) throws IOException {
    ObjectNode edit = (ObjectNode) JSON.readTree(merge);
    Path dir =
        TinyCheckpoint.qwen3()
            .editConfig(
                c ->
                    edit.properties()
                        .forEach(
                            e -> {
                              if (e.getValue().isNull()) {
                                c.remove(e.getKey());
                              } else {
                                c.set(e.getKey(), e.getValue());
                              }
                            }))
            .write(temp);
    assertRefused(dir, "", expected);
  }

  @ParameterizedTest
  @CsvSource({
    "true,model.layers.1.self_attn.q_norm.weight",
    "true,model.layers.0.self_attn.k_norm.weight",
    "true,model.norm.weight",
    "true,model.embed_tokens.weight",
    "true,model.layers.1.mlp.down_proj.weight",
    "false,model.layers.0.self_attn.q_proj.bias",
    "false,model.layers.1.self_attn.v_proj.bias",
    "false,lm_head.weight",
  })
  void missingTensor_isNamed(boolean qwen3, String name) {
    TinyCheckpoint tiny = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    Path dir = tiny.editTensors(t -> t.remove(name)).write(temp);
    assertRefused(dir, "model.safetensors", "tensor " + name + " is missing");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.norm.weight",
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.1.mlp.up_proj.weight",
        "model.embed_tokens.weight"
      })
  void wrongTypeOrShape_isNamed(String name) {
    Path dir =
        TinyCheckpoint.qwen3()
            .editTensors(
                t -> t.computeIfPresent(name, (_, x) -> new RawTensor("I16", x.shape(), x.data())))
            .write(temp);
    assertRefused(dir, name, "holds I16; expected F32 or F16 or BF16");
    TinyCheckpoint.qwen3()
        .editTensors(
            t ->
                t.computeIfPresent(
                    name,
                    (_, x) -> new RawTensor("BF16", new long[] {x.data().length / 2}, x.data())))
        .editTensors(
            t ->
                t.computeIfPresent(
                    name, (_, x) -> new RawTensor("BF16", new long[] {1, x.shape()[0]}, x.data())))
        .write(temp);
    assertRefused(dir, name, "has shape [1, ");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "../outside.safetensors|same directory",
        "/etc/passwd|same directory",
        "sub/x.safetensors|same directory",
        "..|same directory",
        "a\\b.safetensors|same directory",
        "passwd|same directory",
        "gone.safetensors|missing shard gone.safetensors",
        "nul\u0000.safetensors|impossible shard",
      })
  void badShardName_isRefused(String shard, String expected) throws IOException {
    Path dir = TinyCheckpoint.qwen3().shards(2).write(temp.resolve("model"));
    Files.copy(
        dir.resolve("model-00001-of-00002.safetensors"), temp.resolve("outside.safetensors"));
    editIndex(dir, map -> map.put("model.norm.weight", shard));
    assertRefused(dir, "index.json", expected);
  }

  @Test
  void index_thatDisagreesWithItsShards_isRefused() throws IOException {
    Path dir = TinyCheckpoint.qwen3().shards(2).write(temp);
    editIndex(dir, map -> map.put("phantom", "model-00001-of-00002.safetensors"));
    assertRefused(dir, "index.json", "puts tensor phantom in model-00001-of-00002.safetensors");
    TinyCheckpoint.qwen3().shards(2).write(temp);
    editIndex(
        dir,
        map -> {
          String there = map.get("model.norm.weight").asText();
          map.put(
              "model.norm.weight",
              there
                  .replace("-00001-", "-X-")
                  .replace("-00002-", "-00001-")
                  .replace("-X-", "-00002-"));
        });
    assertRefused(dir, "index.json", "puts tensor model.norm.weight in");
    editIndex(dir, map -> map.put("model.norm.weight", 3));
    assertRefused(dir, "index.json", "weight_map.model.norm.weight is 3");
    Files.writeString(dir.resolve("model.safetensors.index.json"), "{}");
    assertRefused(dir, "index.json", "weight_map is missing");
    Files.delete(dir.resolve("model.safetensors.index.json"));
    assertRefused(dir, "", "neither model.safetensors nor model.safetensors.index.json");
  }

  @Test
  void sameTensorInTwoShards_isRefused() throws IOException {
    Path dir = TinyCheckpoint.qwen3().shards(2).write(temp);
    Path second = dir.resolve("model-00002-of-00002.safetensors");
    Map<String, RawTensor> tensors = new LinkedHashMap<>(RawSafetensors.read(second));
    RawSafetensors.read(dir.resolve("model-00001-of-00002.safetensors"))
        .forEach(tensors::putIfAbsent);
    RawSafetensors.write(second, tensors);
    assertRefused(dir, "tensor ", "is in model-0000");
  }

  @Test
  void truncatedShard_isSaid() throws IOException {
    Path dir = TinyCheckpoint.qwen3().shards(2).write(temp);
    Path shard = dir.resolve("model-00002-of-00002.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, Arrays.copyOf(bytes, bytes.length - 10));
    assertRefused(dir, shard.toString(), "is truncated: its header promises " + bytes.length);
  }

  @Test
  void missingFiles_areSaid() throws IOException {
    assertRefused(temp.resolve("nowhere"), "nowhere", "not a directory");
    Path dir = TinyCheckpoint.qwen3().write(temp);
    Files.delete(dir.resolve("config.json"));
    assertRefused(dir, "config.json", "no such file");
  }

  @Test
  void seededMutationsOfTheJsonFiles_neverCrash() throws IOException {
    Path dir = TinyCheckpoint.qwen3().gptq(GptqVariant.SYM).shards(2).write(temp);
    String alphabet = "0123456789-.eE{}[]\",: truefalsn\u0000\\";
    Random random = new Random(20_260_102);
    for (String name :
        List.of("config.json", "generation_config.json", "model.safetensors.index.json")) {
      byte[] whole = Files.readAllBytes(dir.resolve(name));
      int refused = 0;
      for (int i = 0; i < 300; i++) {
        byte[] mutated = whole.clone();
        for (int k = random.nextInt(3); k >= 0; k--) {
          mutated[random.nextInt(whole.length)] =
              (byte) alphabet.charAt(random.nextInt(alphabet.length()));
        }
        Files.write(dir.resolve(name), mutated);
        try {
          Checkpoint.open(dir).close();
        } catch (CheckpointException e) {
          refused++;
          assertFalse(e.getMessage().contains("\n"), e.getMessage());
        }
      }
      Files.write(dir.resolve(name), whole);
      assertTrue(refused > 100, name + ": only " + refused + " refused");
    }
  }

  @Test
  void specimen_opens() {
    assumeTrue(Specimen.find().isPresent(), "no specimen here");
    try (Checkpoint checkpoint = Checkpoint.open(Specimen.find().orElseThrow())) {
      assertEquals(List.of(1), checkpoint.config().eosTokenIds());
      assertEquals(32, checkpoint.config().headDim());
      assertEquals(List.of(), checkpoint.unexpectedTensors());
    }
  }

  private static void editIndex(Path dir, Consumer<ObjectNode> edit) throws IOException {
    Path file = dir.resolve("model.safetensors.index.json");
    ObjectNode index = (ObjectNode) JSON.readTree(file.toFile());
    edit.accept((ObjectNode) index.get("weight_map"));
    Files.writeString(file, index.toString());
  }

  private static void assertRefused(Path dir, String where, String expected) {
    String message =
        assertThrows(CheckpointException.class, () -> Checkpoint.open(dir).close()).getMessage();
    assertTrue(message.contains(where), message);
    assertTrue(message.contains(expected), message);
    assertFalse(message.contains("\n"), message);
  }

  private static Tensor weight(LinearSource source) {
    return assertInstanceOf(LinearSource.Plain.class, source).weight();
  }

  private static void assertSame(Tensor a, Tensor b) {
    assertEquals(a.name(), b.name());
    assertEquals(a.shape(), b.shape());
    assertEquals(
        -1,
        MemorySegment.mismatch(a.data(), 0, a.data().byteSize(), b.data(), 0, b.data().byteSize()));
  }
}
