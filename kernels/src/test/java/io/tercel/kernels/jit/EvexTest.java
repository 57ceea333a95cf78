package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.HexFormat;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** The encoder against what the GNU assembler writes. */
class EvexTest {

  @Test
  void everyInstruction_isWhatAnAssemblerWrites() throws Exception {
    Map<String, String> goldens = EvexInstructions.goldens();
    Map<String, Consumer<Evex>> instructions = EvexInstructions.all();
    assertEquals(instructions.keySet(), goldens.keySet(), "goldens to be written again");
    assertTrue(instructions.size() > 2500);
    instructions.forEach(
        (text, call) -> {
          Evex code = new Evex();
          call.accept(code);
          assertEquals(goldens.get(text), HexFormat.of().formatHex(code.bytes()), text);
          assertEquals(1, code.count(), text);
        });
  }

  /** No method escapes the goldens, but the jumps, whose tests are below. */
  @Test
  void everyMethod_hasGoldens() {
    Set<String> methods = new TreeSet<>();
    for (Method method : Evex.class.getDeclaredMethods()) {
      if (!Modifier.isPrivate(method.getModifiers())
          && !Modifier.isStatic(method.getModifiers())
          && method.getReturnType() == void.class) {
        methods.add(method.getName().replace("Broadcast", ""));
      }
    }
    Set<String> covered = new TreeSet<>(Set.of("jnz", "movd"));
    EvexInstructions.all()
        .keySet()
        .forEach(text -> covered.add(text.replace("{evex} ", "").replaceAll("[ ].*", "")));
    assertEquals(covered, methods);
  }

  /** jnz to itself is "0f 85 fa ff ff ff" to objdump; jb and jmp over two bytes. */
  @Test
  void jumps() {
    Evex back = new Evex();
    back.jnz(back.here());
    assertArrayEquals(HexFormat.of().parseHex("0f85faffffff"), back.bytes());
    Evex forward = new Evex();
    int below = forward.jb();
    forward.cpuid();
    forward.land(below);
    int always = forward.jmp();
    forward.cpuid();
    forward.land(always);
    forward.ret();
    assertArrayEquals(HexFormat.of().parseHex("0f82020000000fa2e9020000000fa2c3"), forward.bytes());
    assertEquals(5, forward.count());
  }
}
