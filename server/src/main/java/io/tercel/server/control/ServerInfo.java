package io.tercel.server.control;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.List;

/** What a server serves, and how busy it is. */
public record ServerInfo(
    String version,
    @JsonProperty("model_names") List<String> modelNames,
    String backend,
    @JsonProperty("weight_version") long weightVersion,
    @JsonProperty("system_fingerprint") String systemFingerprint,
    Limits limits,
    @JsonProperty("kv_cache") KvCache kvCache,
    @JsonUnwrapped Load load,
    List<ClassLoad> classes) {

  /** What requests may ask for. */
  public record Limits(
      @JsonProperty("max_model_len") int maxModelLen,
      @JsonProperty("max_num_seqs") int maxNumSeqs,
      @JsonProperty("max_num_batched_tokens") int maxNumBatchedTokens,
      @JsonProperty("max_waiting") int maxWaiting,
      @JsonProperty("max_choices") int maxChoices) {}

  /**
   * Where keys and values lie.
   *
   * @param blockSize tokens of a block
   */
  public record KvCache(
      String type,
      @JsonProperty("block_size") int blockSize,
      @JsonProperty("num_blocks") int numBlocks,
      @JsonProperty("free_blocks") int freeBlocks) {}

  /** Sequences now, and whether they go on. */
  public record Load(int running, int waiting, boolean paused, boolean draining) {}

  /**
   * Of a class of service.
   *
   * @param running sequences that hold memory
   * @param generationTokens since the start, as are the preemptions
   */
  public record ClassLoad(
      @JsonProperty("service_class") String serviceClass,
      int running,
      int waiting,
      @JsonProperty("generation_tokens") long generationTokens,
      long preemptions) {}
}
