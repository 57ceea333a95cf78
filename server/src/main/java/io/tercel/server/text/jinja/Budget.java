package io.tercel.server.text.jinja;

/**
 * What one rendering may spend: steps (nodes evaluated and items passed over), work (characters and
 * items allocated), and depth of macro calls. A hostile or broken template ends in an error instead
 * of a hung thread or a full heap.
 */
final class Budget {
  private static final int MAX_DEPTH = 64;

  private final long maxSteps;
  private final long maxWork;
  private final long maxOutput;
  private long steps;
  private long work;
  private int depth;

  Budget(long maxSteps, long maxWork, long maxOutput) {
    this.maxSteps = maxSteps;
    this.maxWork = maxWork;
    this.maxOutput = maxOutput;
  }

  void step() {
    if (++steps > maxSteps) {
      throw TemplateException.of("more than " + maxSteps + " steps; the template seems not to end");
    }
  }

  /** Charges an allocation before it is made. */
  void work(long size) {
    steps += size >>> 6;
    work += size;
    if (work > maxWork || work < 0) {
      throw TemplateException.of("strings and lists of more than " + maxWork + " items in all");
    }
  }

  void output(long length) {
    if (length > maxOutput) {
      throw TemplateException.of("more than " + maxOutput + " characters of output");
    }
  }

  void enter(String what) {
    if (++depth > MAX_DEPTH) {
      throw TemplateException.of(what + " is nested more than " + MAX_DEPTH + " calls deep");
    }
  }

  void exit() {
    depth--;
  }
}
