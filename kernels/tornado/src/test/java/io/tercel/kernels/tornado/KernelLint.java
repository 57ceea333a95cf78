package io.tercel.kernels.tornado;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds in kernel sources what TornadoVM compiles to something else, or not at all. It reads text,
 * comments and strings removed.
 */
final class KernelLint {
  private static final Pattern COMMENTS_AND_STRINGS =
      Pattern.compile("/\\*.*?\\*/|//[^\\n]*|\"(?:\\\\.|[^\"\\\\\\n])*\"", Pattern.DOTALL);

  /** What matrix units do, with fragments and with local arrays that nobody addresses. */
  private static final Pattern UNITS =
      Pattern.compile("((?:byte|int)\\[\\] )?\\w+ = c\\.mma\\w+\\([^;]*;|c\\.mma\\w+\\([^;]*;");

  /** Silent wrong code first, then what fails. */
  private static final Map<String, Pattern> RULES = new LinkedHashMap<>();

  static {
    rule("is emitted as a signed shift: shift and mask", ">>>");
    rule(
        "a negative int divided by a power of two rounds the wrong way: shift or avoid",
        "-\\s*\\w+\\s*/\\s*\\d+\\b(?![.fFdD])");
    rule("arithmetic on a local byte[] is wrong", "\\bbyte\\s*\\[\\s*\\]|allocateByteLocalArray");
    rule(
        "a loop that ends by what it reads from the work group's memory never ends on PoCL: count",
        "\\bwhile\\s*\\(");
    rule("half conversions are wrong or missing on OpenCL", "\\bfloat16ToFloat|floatToFloat16");
    rule("differs between devices", "\\bsimd(?:Sum|ShuffleDown|BroadcastFirst)\\b");
    rule(
        "bit casts don't compile: Powers",
        "\\b(?:intBitsToFloat|float\\w*ToRaw\\w*|floatToIntBits)");
    rule("does not compile: a * b + c is fused on the device", "\\bMath\\s*\\.\\s*fma\\b");
    rule("CUDA only", "\\b(?:dp4a\\w*|mma\\w*|HalfFloat\\w*|atomicAdd\\s*\\(\\s*\\w*[fF]loat)");
    rule(
        "differs from the contract's: Arithmetic.exp, or the host",
        "\\b(?:Tornado)?Math\\s*\\.\\s*(?:exp|log|pow|sin|cos|tan|tanh)\\b");
  }

  /** What OpenCL C has taken. */
  private static final Set<String> OPENCL_WORDS =
      Set.of(
          "half",
          "int2",
          "int4",
          "int8",
          "float2",
          "float4",
          "float8",
          "double2",
          "uint",
          "ulong",
          "kernel",
          "global",
          "local",
          "private",
          "constant",
          "sampler_t",
          "event_t",
          "image2d_t",
          "dot",
          "cross",
          "length",
          "normalize",
          "select",
          "clamp",
          "mix",
          "step",
          "sign",
          "degrees",
          "radians",
          "exp",
          "log",
          "fma",
          "mad",
          "rint",
          "round",
          "fract",
          "hypot",
          "shuffle",
          "barrier",
          "prefetch",
          "any",
          "all",
          "vec_step");

  /**
   * Functions of C's and CUDA's mathematics, without the endings f and l that many have, and what
   * else a kernel of C linkage can't be called on CUDA.
   */
  private static final Set<String> CUDA_WORDS =
      Set.of(
          ("abs acos acosh asin asinh assert atan atan2 atanh cbrt ceil copysign cos cosh cospi"
                  + " cyl_bessel_i0 cyl_bessel_i1 erf erfc erfcinv erfcx erfinv exp exp10 exp2"
                  + " expm1 fabs fdim fdivide floor fma fmax fmin fmod free frexp hypot ilogb"
                  + " j0 j1 jn labs ldexp lgamma llabs llmax llmin llrint llround log log10"
                  + " log1p log2 logb lrint lround main malloc max min modf nan nearbyint"
                  + " nextafter norm norm3d norm4d normcdf normcdfinv pow printf rcbrt remainder"
                  + " remquo rhypot rint rnorm rnorm3d rnorm4d round rsqrt scalbln scalbn sin"
                  + " sincos sincospi sinh sinpi sqrt tan tanh tgamma trunc ullmax ullmin umax"
                  + " umin y0 y1 yn")
              .split(" "));

  private static final Pattern KERNEL =
      Pattern.compile("public\\s+static\\s+void\\s+(\\w+)\\s*\\(\\s*KernelContext\\b");

  private static final Pattern LOCAL_ARRAY =
      Pattern.compile("(\\w+)\\s*=\\s*\\w+\\s*\\.\\s*allocate\\w+LocalArray");

  private KernelLint() {}

  private static void rule(String why, String pattern) {
    RULES.put(why, Pattern.compile(pattern));
  }

  /**
   * Findings; files of kernels for CUDA's matrix units, which other devices never see, may name
   * them.
   */
  static List<String> check(String name, String source) {
    String code =
        COMMENTS_AND_STRINGS
            .matcher(source)
            .replaceAll(found -> found.group().replaceAll("[^\\n]", " "));
    if (name.endsWith("MmaKernels.java")) {
      code = UNITS.matcher(code).replaceAll(found -> found.group().replaceAll("[^\\n]", " "));
    }
    return findings(name, code);
  }

  private static List<String> findings(String name, String code) {
    List<String> findings = new ArrayList<>();
    RULES.forEach(
        (why, pattern) -> {
          Matcher matcher = pattern.matcher(code);
          while (matcher.find()) {
            findings.add(place(name, code, matcher) + " (" + why + ")");
          }
        });
    Matcher kernels = KERNEL.matcher(code);
    while (kernels.find()) {
      String kernel = kernels.group(1);
      if (OPENCL_WORDS.contains(kernel)) {
        findings.add(place(name, code, kernels) + " (a word of OpenCL C can't name a kernel)");
      }
      if (CUDA_WORDS.contains(kernel) || CUDA_WORDS.contains(kernel.replaceFirst("[fl]$", ""))) {
        findings.add(place(name, code, kernels) + " (a word of CUDA C can't name a kernel)");
      }
    }
    Matcher arrays = LOCAL_ARRAY.matcher(code);
    while (arrays.find()) {
      Matcher use = Pattern.compile("[(,]\\s*" + arrays.group(1) + "\\s*[,)]").matcher(code);
      while (use.find()) {
        findings.add(
            place(name, code, use) + " (a local array in another method is addressed wrongly)");
      }
    }
    return findings;
  }

  private static String place(String name, String code, Matcher matcher) {
    long line = code.substring(0, matcher.start()).chars().filter(c -> c == '\n').count() + 1;
    return name + ":" + line + ": " + matcher.group().strip();
  }
}
