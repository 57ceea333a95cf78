package io.tercel.server.engine.speculation;

/**
 * Tokens that may come next. Each has a {@link Kind}: how it was found, which tells how often such
 * tokens come true.
 */
final class Draft {
  private final int[] tokens = new int[Speculation.MOST];
  private final int[] kinds = new int[Speculation.MOST];
  private int size;

  void clear() {
    size = 0;
  }

  void add(int token, int kind) {
    tokens[size] = token;
    kinds[size++] = kind;
  }

  int size() {
    return size;
  }

  int token(int i) {
    return tokens[i];
  }

  int kind(int i) {
    return kinds[i];
  }

  void copy(Draft other) {
    System.arraycopy(other.tokens, 0, tokens, 0, other.size);
    System.arraycopy(other.kinds, 0, kinds, 0, other.size);
    size = other.size;
  }
}
