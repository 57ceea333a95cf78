package io.tercel.kernels.testing;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Writes the twin of a tiny GPTQ checkpoint as compressed-tensors does, {@code pack-quantized},
 * with the same codes, scales, zero points and order.
 *
 * @param variant of the GPTQ checkpoint
 * @param dense one stream of bits, as written since 2026-05-29; else ten codes in each word
 */
public record CompressedWriter(GptqVariant variant, boolean dense) {

  /** Makes a tiny checkpoint, whose variant this is, its own twin. */
  public TinyCheckpoint twin(TinyCheckpoint tiny) {
    return tiny.gptq(variant).editTensors(this::rename).editConfig(this::describe);
  }

  /** Packs non-negative codes. */
  public int[] pack(int[] codes) {
    if (dense) {
      return GptqWriter.pack(codes);
    }
    int[] words = new int[Math.ceilDiv(codes.length, 10)];
    for (int i = 0; i < codes.length; i++) {
      words[i / 10] |= codes[i] << 3 * (i % 10);
    }
    return words;
  }

  private void rename(Map<String, RawTensor> tensors) {
    List<String> names = new ArrayList<>();
    for (String name : tensors.keySet()) {
      if (name.endsWith(".qweight")) {
        names.add(name.substring(0, name.length() - ".qweight".length()));
      }
    }
    for (String name : names) {
      linear(tensors, name, new GptqReader(tensors, name, variant.v2()));
    }
  }

  private void linear(Map<String, RawTensor> tensors, String name, GptqReader gptq) {
    int out = gptq.out();
    int in = gptq.in();
    int groups = Math.ceilDiv(in, 128);
    int width = pack(new int[in]).length;
    int[] packed = new int[out * width];
    float[] scales = new float[out * groups];
    for (int o = 0; o < out; o++) {
      int[] codes = new int[in];
      for (int i = 0; i < in; i++) {
        codes[i] = gptq.code(o, i);
      }
      System.arraycopy(pack(codes), 0, packed, o * width, width);
      for (int g = 0; g < groups; g++) {
        scales[o * groups + g] = gptq.scale(o, g);
      }
    }
    int height = pack(new int[out]).length;
    int[] zeros = new int[height * groups];
    for (int g = 0; g < groups; g++) {
      int[] codes = new int[out];
      for (int o = 0; o < out; o++) {
        codes[o] = gptq.zero(o, g);
      }
      int[] words = pack(codes);
      for (int w = 0; w < height; w++) {
        zeros[w * groups + g] = words[w];
      }
    }
    RawTensor order = tensors.remove(name + ".g_idx");
    tensors.keySet().removeAll(List.of(name + ".qweight", name + ".qzeros", name + ".scales"));
    tensors.put(name + ".weight_packed", RawTensor.ints(packed, out, width));
    tensors.put(name + ".weight_scale", RawTensor.floats("F16", scales, out, groups));
    tensors.put(name + ".weight_shape", longs(out, in));
    if (!variant.symmetric()) {
      tensors.put(name + ".weight_zero_point", RawTensor.ints(zeros, height, groups));
    }
    if (variant.actOrder()) {
      tensors.put(name + ".weight_g_idx", order);
    }
  }

  /** An I64 vector. */
  public static RawTensor longs(long... values) {
    ByteBuffer data = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asLongBuffer().put(values);
    return new RawTensor("I64", new long[] {values.length}, data.array());
  }

  /** As llm-compressor writes it. */
  private void describe(ObjectNode config) {
    ObjectNode json = config.putObject("quantization_config");
    ObjectNode group = json.putObject("config_groups").putObject("group_0");
    group
        .putNull("input_activations")
        .putNull("output_activations")
        .put("format", "pack-quantized");
    group.putArray("targets").add("Linear");
    group
        .putObject("weights")
        .put("actorder", variant.actOrder() ? "group" : null)
        .putNull("block_structure")
        .put("dynamic", false)
        .put("group_size", 128)
        .put("num_bits", 3)
        .put("observer", "minmax")
        .put("strategy", "group")
        .put("symmetric", variant.symmetric())
        .put("type", "int");
    json.put("format", "pack-quantized").putNull("kv_cache_scheme");
    json.putArray("ignore").add("lm_head");
    json.put("quant_method", "compressed-tensors").put("quantization_status", "compressed");
    json.putObject("sparsity_config");
    json.putObject("transform_config");
  }
}
