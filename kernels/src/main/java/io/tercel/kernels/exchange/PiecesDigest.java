package io.tercel.kernels.exchange;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * SHA-256 over pieces in their order: of each the tensor's name in UTF-8, a zero, the part's place
 * among parts as a byte, the offset as 8 and the length as 4 bytes, little-endian, and the bytes.
 */
public final class PiecesDigest {
  private final MessageDigest digest;
  private final ByteBuffer header = ByteBuffer.allocate(14).order(ByteOrder.LITTLE_ENDIAN);

  /** Of no pieces yet. */
  public PiecesDigest() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /** One piece more. */
  public void add(String name, TensorPart part, long offset, byte[] data, int from, int length) {
    digest.update(name.getBytes(StandardCharsets.UTF_8));
    header.clear().put((byte) 0).put((byte) part.ordinal()).putLong(offset).putInt(length).flip();
    digest.update(header);
    digest.update(data, from, length);
  }

  /** All pieces of a batch. */
  public void add(Pieces pieces) {
    int from = 0;
    for (int i = 0; i < pieces.count(); i++) {
      int length = pieces.length(i);
      add(pieces.name(), pieces.part(), pieces.offset(i), pieces.data(), from, length);
      from += length;
    }
  }

  /** 32 bytes; the digest is of no pieces again. */
  public byte[] bytes() {
    return digest.digest();
  }
}
