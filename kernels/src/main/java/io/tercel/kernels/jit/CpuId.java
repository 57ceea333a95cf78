package io.tercel.kernels.jit;

import io.tercel.kernels.ops.BackendUnavailableException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What the processor can do and the system lets it: asked with the instructions {@code cpuid} and
 * {@code xgetbv}, which need no file and no parsing and tell what the kernel saves as well.
 */
final class CpuId {
  /** A bit of what cpuid answers: its leaf's register 0..3 (eax, ebx, ecx, edx). */
  enum Feature {
    OSXSAVE(1, 2, 27),
    AVX512F(7, 1, 16),
    AVX512BW(7, 1, 30),
    AVX512VL(7, 1, 31),
    AVX512_VNNI(7, 2, 11);

    private final int leaf;
    private final int register;
    private final int bit;

    Feature(int leaf, int register, int bit) {
      this.leaf = leaf;
      this.register = register;
      this.bit = bit;
    }

    int leaf() {
      return leaf;
    }

    int register() {
      return register;
    }

    int bit() {
      return bit;
    }
  }

  /** State the system must save: SSE, AVX, opmask, upper halves of zmm0-15, zmm16-31. */
  private static final int SAVED_STATE = 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7;

  private static final int XGETBV_OFFSET = 64;
  private static final FunctionDescriptor CPUID =
      FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG);
  private static final FunctionDescriptor XGETBV = FunctionDescriptor.of(ValueLayout.JAVA_INT);

  private CpuId() {}

  /** The instruction sets that the kernels are made of. */
  static List<String> instructionSets() {
    return Arrays.stream(Feature.values())
        .filter(feature -> feature != Feature.OSXSAVE)
        .map(Feature::name)
        .toList();
  }

  /**
   * What the kernels need and this machine hasn't; empty when it has all.
   *
   * @throws BackendUnavailableException if no code can be executed here at all
   */
  static List<String> missing() {
    try (ExecutableMemory code = ExecutableMemory.map(2 * XGETBV_OFFSET);
        Arena arena = Arena.ofConfined()) {
      code.write(0, cpuid());
      code.write(XGETBV_OFFSET, xgetbv());
      code.seal();
      return missing(code.function(0, CPUID), code.function(XGETBV_OFFSET, XGETBV), arena);
    }
  }

  private static List<String> missing(MethodHandle cpuid, MethodHandle xgetbv, Arena arena) {
    MemorySegment answer = arena.allocate(4L * Integer.BYTES, Integer.BYTES);
    List<String> missing = new ArrayList<>();
    try {
      cpuid.invokeExact(0, 0, answer.address());
      int lastLeaf = answer.get(ValueLayout.JAVA_INT, 0);
      for (Feature feature : Feature.values()) {
        answer.fill((byte) 0);
        if (feature.leaf <= lastLeaf) {
          cpuid.invokeExact(feature.leaf, 0, answer.address());
        }
        if ((answer.getAtIndex(ValueLayout.JAVA_INT, feature.register) >> feature.bit & 1) == 0) {
          missing.add(feature.name());
        }
      }
      if (!missing.contains(Feature.OSXSAVE.name())
          && ((int) xgetbv.invokeExact() & SAVED_STATE) != SAVED_STATE) {
        missing.add("the system's support of 512-bit registers");
      }
    } catch (Throwable e) {
      throw new AssertionError("cpuid takes and returns plain integers", e);
    }
    return List.copyOf(missing);
  }

  /** f(leaf, subleaf, int[4] answer). */
  private static byte[] cpuid() {
    Evex a = new Evex();
    a.push(Gpr.RBX);
    a.mov(Gpr.R8, Gpr.RDX);
    a.movd(Gpr.RAX, Gpr.RDI);
    a.movd(Gpr.RCX, Gpr.RSI);
    a.cpuid();
    a.movd(Evex.at(Gpr.R8, 0), Gpr.RAX);
    a.movd(Evex.at(Gpr.R8, 4), Gpr.RBX);
    a.movd(Evex.at(Gpr.R8, 8), Gpr.RCX);
    a.movd(Evex.at(Gpr.R8, 12), Gpr.RDX);
    a.pop(Gpr.RBX);
    a.ret();
    return a.bytes();
  }

  /** int f(): the low half of extended control register 0. */
  private static byte[] xgetbv() {
    Evex a = new Evex();
    a.mov(Gpr.RCX, 0);
    a.xgetbv();
    a.ret();
    return a.bytes();
  }
}
