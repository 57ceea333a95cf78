package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Instructions as text for an assembler, beside the calls that encode them: every one that {@link
 * Evex} has, with registers from all four banks, all bases and displacements about every limit.
 *
 * <p>{@link #main} has the GNU assembler encode the texts and writes {@code evex.txt}, so that the
 * test needs no assembler.
 */
final class EvexInstructions {
  private static final int[] ZMMS = {0, 7, 9, 18, 31};
  private static final int[] DISPLACEMENTS = {
    0, 4, 16, 32, 64, -4, -64, 60, 127, 128, -128, 508, 512, -512, -516, 2032, 2048, 4064, 4096,
    8128, 8192, -8192, -8256, 100_000
  };

  private final Map<String, Consumer<Evex>> all = new LinkedHashMap<>();

  private EvexInstructions() {}

  static Map<String, Consumer<Evex>> all() {
    EvexInstructions instructions = new EvexInstructions();
    instructions.vectors();
    instructions.broadcasts();
    instructions.general();
    return instructions.all;
  }

  private interface Two {
    void write(Evex code, int a, int b);
  }

  private interface Three {
    void write(Evex code, int a, int b, int c);
  }

  private interface OneAndMemory {
    void write(Evex code, int a, Mem from);
  }

  private interface TwoAndMemory {
    void write(Evex code, int a, int b, Mem from);
  }

  private void vectors() {
    three("vpandd", "", Evex::vpandd);
    three("vpxord", "", Evex::vpxord);
    three("vpaddd", "", Evex::vpaddd);
    three("vpsubd", "", Evex::vpsubd);
    three("vpmaxsd", "", Evex::vpmaxsd);
    three("vmulps", "", Evex::vmulps);
    three("vdivps", "", Evex::vdivps);
    three("vpternlogd", ",0xe4", (e, a, b, c) -> e.vpternlogd(a, b, c, 0xE4));
    three("vaddps", "", Evex::vaddps);
    three("vsubps", "", Evex::vsubps);
    three("vmaxps", "", Evex::vmaxps);
    three("vfmadd231ps", "", Evex::vfmadd231ps);
    three("vfmadd213ps", "", Evex::vfmadd213ps);
    three("vfnmadd231ps", "", Evex::vfnmadd231ps);
    masks();
    two("vmovaps", "", Evex::vmovaps);
    three("vshuff32x4", ",0xb1", (e, a, b, c) -> e.vshuff32x4(a, b, c, 0xB1));
    two("vpslld", ",5", (e, a, b) -> e.vpslld(a, b, 5));
    two("vpsrld", ",3", (e, a, b) -> e.vpsrld(a, b, 3));
    two("vpsrad", ",3", (e, a, b) -> e.vpsrad(a, b, 3));
    two("vcvtdq2ps", "", Evex::vcvtdq2ps);
    two("vcvtps2dq", "", Evex::vcvtps2dq);
    two("vpermilps", ",0x4e", (e, a, b) -> e.vpermilps(a, b, 0x4E));
    twoMemory("vpandd", "zmmword ptr %s", Evex::vpandd);
    oneMemory("vmovdqu32 zmm%d,zmmword ptr %s", Evex::vmovdqu32);
    oneMemory("vpslld zmm%d,zmmword ptr %s,16", (e, a, m) -> e.vpslld(a, m, 16));
    oneMemory("vpsrld zmm%d,zmmword ptr %s,16", (e, a, m) -> e.vpsrld(a, m, 16));
    oneMemory("vpmovzxbd zmm%d,xmmword ptr %s", Evex::vpmovzxbd);
    oneMemory("vcvtph2ps zmm%d,ymmword ptr %s", Evex::vcvtph2ps);
    oneMemory("vpmovdb xmmword ptr %2$s,zmm%1$d", (e, a, m) -> e.vpmovdb(m, a));
    oneMemory("vmovdqu32 zmmword ptr %2$s,zmm%1$d", (e, a, m) -> e.vmovdqu32(m, a));
    oneMemory("{evex} vmovss dword ptr %2$s,xmm%1$d", (e, a, m) -> e.vmovss(m, a));
    for (int a : ZMMS) {
      for (int b : ZMMS) {
        add("vcvtph2ps zmm%d,ymm%d".formatted(a, b), e -> e.vcvtph2ps(a, b));
        add("vpmovdw ymm%d,zmm%d".formatted(a, b), e -> e.vpmovdw(a, b));
      }
      for (Gpr r : Gpr.values()) {
        add("vpbroadcastd zmm%d,%s".formatted(a, half(r)), e -> e.vpbroadcastd(a, r));
      }
    }
  }

  private void masks() {
    for (int mask = 1; mask < 8; mask++) {
      int k = mask;
      for (int a : ZMMS) {
        for (int b : ZMMS) {
          String ab = "zmm%d,zmm%d".formatted(a, b);
          String toAb = "zmm%d{k%d}%%s,%s".formatted(a ^ b, k, ab);
          add("vpcmpgtd k%d,%s".formatted(k, ab), e -> e.vpcmpgtd(k, a, b));
          add("vcmpnltps k%d,%s".formatted(k, ab), e -> e.vcmpnltps(k, a, b));
          add("vpaddd " + toAb.formatted("{z}"), e -> e.vpaddd(a ^ b, a, b, k));
          add("vmulps " + toAb.formatted("{z}"), e -> e.vmulps(a ^ b, a, b, k));
          add("vpblendmd " + toAb.formatted(""), e -> e.vpblendmd(a ^ b, a, b, k));
        }
      }
    }
  }

  private void broadcasts() {
    twoMemory("vfmadd231ps", "dword ptr %s{1to16}", Evex::vfmadd231psBroadcast);
    twoMemory("vpdpbusd", "dword ptr %s{1to16}", Evex::vpdpbusdBroadcast);
    twoMemory("vpmulld", "dword ptr %s{1to16}", Evex::vpmulldBroadcast);
    twoMemory("vmulps", "dword ptr %s{1to16}", Evex::vmulpsBroadcast);
    oneMemory("vpbroadcastd zmm%d,dword ptr %s", Evex::vpbroadcastd);
  }

  private void general() {
    for (Gpr a : Gpr.values()) {
      String x = name(a);
      add("push " + x, e -> e.push(a));
      add("pop " + x, e -> e.pop(a));
      for (int value : new int[] {0, 1, -1, 127, 128, -128, -129, 832, 0x7FFFFFFF}) {
        add("add " + x + "," + value, e -> e.add(a, value));
        add("sub " + x + "," + value, e -> e.sub(a, value));
        add("cmp " + x + "," + value, e -> e.cmp(a, value));
        add("mov " + half(a) + "," + value, e -> e.mov(a, value));
      }
      for (Gpr b : Gpr.values()) {
        add("mov " + x + "," + name(b), e -> e.mov(a, b));
        add("mov " + half(a) + "," + half(b), e -> e.movd(a, b));
        add("add " + x + "," + name(b), e -> e.add(a, b));
        Mem m = at(b, DISPLACEMENTS[(a.number() + 3 * b.number()) % DISPLACEMENTS.length]);
        add("mov %s,qword ptr %s".formatted(x, name(m)), e -> e.mov(a, m));
        add("add %s,qword ptr %s".formatted(x, name(m)), e -> e.add(a, m));
        add("prefetcht0 byte ptr " + name(m), e -> e.prefetcht0(m));
        add("prefetcht1 byte ptr " + name(m), e -> e.prefetcht1(m));
        add("mov %s,dword ptr %s".formatted(half(a), name(m)), e -> e.movd(a, m));
        add("mov dword ptr %s,%s".formatted(name(m), half(a)), e -> e.movd(m, a));
      }
    }
    add("cpuid", Evex::cpuid);
    add("xgetbv", Evex::xgetbv);
    add("vzeroupper", Evex::vzeroupper);
    add("ret", Evex::ret);
  }

  private void two(String name, String immediate, Two call) {
    for (int a : ZMMS) {
      for (int b : ZMMS) {
        add("%s zmm%d,zmm%d%s".formatted(name, a, b, immediate), e -> call.write(e, a, b));
      }
    }
  }

  private void three(String name, String immediate, Three call) {
    for (int a : ZMMS) {
      for (int b : ZMMS) {
        for (int c : new int[] {a ^ 17, b ^ 9}) {
          add(
              "%s zmm%d,zmm%d,zmm%d%s".formatted(name, a, b, c, immediate),
              e -> call.write(e, a, b, c));
        }
      }
    }
  }

  private void oneMemory(String format, OneAndMemory call) {
    for (Gpr base : Gpr.values()) {
      int a = ZMMS[base.number() % ZMMS.length];
      for (int displacement : new int[] {0, 256}) {
        Mem mem = at(base, displacement);
        add(format.formatted(a, name(mem)), e -> call.write(e, a, mem));
      }
    }
    for (int displacement : DISPLACEMENTS) {
      Mem mem = at(Gpr.R12, displacement);
      add(format.formatted(17, name(mem)), e -> call.write(e, 17, mem));
    }
  }

  private void twoMemory(String name, String operand, TwoAndMemory call) {
    for (int b : new int[] {3, 12, 20, 29}) {
      String format = name + " zmm%1$d,zmm" + b + "," + operand.replace("%s", "%2$s");
      Mem mem = at(Gpr.values()[b % 16], 4 * b);
      add(format.formatted(b ^ 31, name(mem)), e -> call.write(e, b ^ 31, b, mem));
    }
    String format = name + " zmm%1$d,zmm6," + operand.replace("%s", "%2$s");
    oneMemory(format, (e, a, m) -> call.write(e, a, 6, m));
  }

  private void add(String text, Consumer<Evex> call) {
    all.put(text, call);
  }

  private static String name(Gpr r) {
    return r.name().toLowerCase(Locale.ROOT);
  }

  private static String half(Gpr r) {
    return r.number() < 8 ? "e" + name(r).substring(1) : name(r) + "d";
  }

  private static String name(Mem m) {
    return "[%s%+d]".formatted(name(m.base()), m.displacement());
  }

  /**
   * Writes the goldens; run in {@code kernels} after compiling the tests:
   *
   * <pre>
   * java -cp target/classes:target/test-classes io.tercel.kernels.jit.EvexInstructions \
   *     src/test/resources/io/tercel/kernels/jit/evex.txt
   * </pre>
   */
  public static void main(String[] args) throws IOException, InterruptedException {
    Path source = Files.createTempFile("evex", ".s");
    Path object = Files.createTempFile("evex", ".o");
    List<String> texts = List.copyOf(all().keySet());
    Files.writeString(source, ".intel_syntax noprefix\n" + String.join("\n", texts) + "\n");
    run("as", "--64", "-mevexlig=512", "-o", object.toString(), source.toString());
    String listing =
        run("objdump", "-d", "-w", "--insn-width=15", "-M", "intel", object.toString());
    StringBuilder goldens = new StringBuilder();
    goldens
        .append("# as --64 -mevexlig=512 (")
        .append(run("as", "--version").lines().findFirst().orElse(""));
    goldens.append("), then objdump -d -w --insn-width=15: see EvexInstructions.main\n");
    Matcher line = Pattern.compile("(?m)^ +[0-9a-f]+:\t([0-9a-f ]+)\t").matcher(listing);
    for (String text : texts) {
      if (!line.find()) {
        throw new IllegalStateException("no code for " + text);
      }
      goldens.append(line.group(1).strip().replace(" ", "")).append(' ').append(text).append('\n');
    }
    Files.writeString(Path.of(args[0]), goldens);
    Files.delete(source);
    Files.delete(object);
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(String.join(" ", command) + ":\n" + out);
    }
    return out;
  }

  /** What an assembler made of each text, in hex. */
  static Map<String, String> goldens() throws IOException {
    Map<String, String> goldens = new HashMap<>();
    try (var in = EvexInstructions.class.getResourceAsStream("evex.txt")) {
      if (in == null) {
        throw new IOException("no evex.txt");
      }
      new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .forEach(
              line ->
                  goldens.put(
                      line.substring(line.indexOf(' ') + 1), line.substring(0, line.indexOf(' '))));
    }
    return goldens;
  }
}
