package io.tercel.server.kvevents;

import io.tercel.server.engine.BlockHash;
import java.io.IOException;
import org.msgpack.core.MessagePacker;

/**
 * What happened to the prefix cache. Each is packed as an array that begins with its name, as
 * vLLM's {@code msgspec} structures are; a reader passes over what stands behind what it knows.
 */
sealed interface KvEvent {
  /** Where blocks lie, to readers who tell tiers apart. */
  String MEDIUM = "CPU";

  void pack(MessagePacker out) throws IOException;

  /** A hash is an unsigned 64-bit number to its readers. */
  private static void packHash(MessagePacker out, long hash) throws IOException {
    if (hash >= 0) {
      out.packLong(hash);
    } else {
      out.packBigInteger(new java.math.BigInteger(Long.toUnsignedString(hash)));
    }
  }

  /**
   * {@code ["BlockStored", [hash], parent or nil, tokens, block size, lora id, medium, lora name]}.
   */
  record Stored(long hash, long parent, int[] tokens) implements KvEvent {
    @Override
    public void pack(MessagePacker out) throws IOException {
      out.packArrayHeader(8).packString("BlockStored").packArrayHeader(1);
      packHash(out, hash);
      if (parent == BlockHash.ROOT) {
        out.packNil();
      } else {
        packHash(out, parent);
      }
      out.packArrayHeader(tokens.length);
      for (int token : tokens) {
        out.packInt(token);
      }
      out.packInt(tokens.length).packNil().packString(MEDIUM).packNil();
    }
  }

  /** {@code ["BlockRemoved", [hash], medium]}. */
  record Removed(long hash) implements KvEvent {
    @Override
    public void pack(MessagePacker out) throws IOException {
      out.packArrayHeader(3).packString("BlockRemoved").packArrayHeader(1);
      packHash(out, hash);
      out.packString(MEDIUM);
    }
  }

  /** {@code ["AllBlocksCleared"]}. */
  record Cleared() implements KvEvent {
    @Override
    public void pack(MessagePacker out) throws IOException {
      out.packArrayHeader(1).packString("AllBlocksCleared");
    }
  }
}
