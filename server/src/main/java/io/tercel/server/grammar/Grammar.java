package io.tercel.server.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The texts of a form, as rules over bytes that may call one another: a recursive transition
 * network. Immutable. Within a rule a byte leads to one node at most.
 */
public final class Grammar {
  private final List<GrammarNode> nodes;
  private final int[] starts;
  private final int root;
  private final @Nullable Length[] lengths;
  private final BitSet betweenCharacters;
  private final BitSet live;

  /** How many characters a rule's texts have: they are counted beside the automaton. */
  record Length(int min, int max) {}

  private Grammar(
      List<GrammarNode> nodes,
      int[] starts,
      int root,
      @Nullable Length[] lengths,
      BitSet betweenCharacters) {
    this.lengths = lengths;
    this.betweenCharacters = betweenCharacters;
    this.nodes = nodes;
    this.starts = starts;
    this.root = root;
    BitSet every = new BitSet();
    every.set(0, 256);
    this.live = finishing(every);
  }

  GrammarNode node(int number) {
    return nodes.get(number);
  }

  /** States in all rules together. */
  public int numNodes() {
    return nodes.size();
  }

  /** A rule's first node. */
  int start(int rule) {
    return starts[rule];
  }

  int numRules() {
    return starts.length;
  }

  /** Where a text begins. */
  int start() {
    return starts[root];
  }

  /** How many characters the texts of a node's rule have; null where they aren't counted. */
  @Nullable Length length(int node) {
    return lengths[node];
  }

  /** Whether each byte read there begins a character. */
  boolean isBetweenCharacters(int node) {
    return betweenCharacters.get(node);
  }

  /** The nodes from which their rules' ends can be reached, lengths aside. */
  BitSet live() {
    return live;
  }

  /** The nodes from which their rules' ends can be reached by these bytes alone. */
  BitSet finishing(BitSet bytes) {
    List<List<Integer>> dependents = new ArrayList<>(nodes.size());
    for (int i = 0; i < nodes.size(); i++) {
      dependents.add(new ArrayList<>(2));
    }
    Deque<Integer> open = new ArrayDeque<>();
    BitSet finishing = new BitSet(nodes.size());
    for (int i = 0; i < nodes.size(); i++) {
      GrammarNode node = nodes.get(i);
      for (int e = 0; e < node.numByteEdges(); e++) {
        dependents.get(node.target(e)).add(i);
      }
      for (int c = 0; c < node.numCalls(); c++) {
        dependents.get(starts[node.rule(c)]).add(i);
        dependents.get(node.returnsTo(c)).add(i);
      }
      if (node.accepts()) {
        finishing.set(i);
        open.add(i);
      }
    }
    while (!open.isEmpty()) {
      for (int i : dependents.get(open.remove())) {
        if (!finishing.get(i) && finishes(nodes.get(i), bytes, finishing)) {
          finishing.set(i);
          open.add(i);
        }
      }
    }
    return finishing;
  }

  private boolean finishes(GrammarNode node, BitSet bytes, BitSet finishing) {
    for (int e = 0; e < node.numByteEdges(); e++) {
      int available = bytes.nextSetBit(node.low(e));
      if (finishing.get(node.target(e)) && available >= 0 && available <= node.high(e)) {
        return true;
      }
    }
    for (int c = 0; c < node.numCalls(); c++) {
      if (finishing.get(starts[node.rule(c)]) && finishing.get(node.returnsTo(c))) {
        return true;
      }
    }
    return false;
  }

  /** Rules being gathered; they may be named before they are written. */
  static final class Builder {
    private final Complexity complexity;
    private final List<GrammarNode> nodes = new ArrayList<>();
    private int[] starts = new int[16];
    private int numRules;
    private final BitSet betweenCharacters = new BitSet();
    private final Map<Integer, Length> lengths = new HashMap<>(); // by node

    /**
     * @param path of the form, for refusals
     */
    Builder(String path) {
      this.complexity = new Complexity(path);
    }

    Nfa nfa() {
      return new Nfa(complexity);
    }

    Complexity complexity() {
      return complexity;
    }

    /** Asks for so much work before it is done. */
    void work(long units) {
      complexity.work(units);
    }

    /** A rule to be written later. */
    int declare() {
      if (numRules == starts.length) {
        starts = Arrays.copyOf(starts, 2 * numRules);
      }
      starts[numRules] = -1;
      return numRules++;
    }

    /** Writes a declared rule. */
    void define(int rule, Nfa nfa, int start, int end) {
      starts[rule] = Determinizer.add(nfa, start, end, nodes, betweenCharacters);
    }

    /**
     * Writes a declared rule whose texts are only those of such a length. It calls no others, and
     * its nodes say where characters begin.
     */
    void define(int rule, Nfa nfa, int start, int end, Length length) {
      int first = nodes.size();
      define(rule, nfa, start, end);
      for (int node = first; node < nodes.size(); node++) {
        lengths.put(node, length);
      }
    }

    /**
     * The grammar whose texts are those of one rule.
     *
     * @throws GrammarException if it has no text at all
     */
    Grammar build(int root, String path) {
      for (int rule = 0; rule < numRules; rule++) {
        if (starts[rule] < 0) {
          throw new IllegalStateException("rule " + rule + " was never written");
        }
      }
      @Nullable Length[] all = new Length[nodes.size()];
      lengths.forEach((node, length) -> all[node] = length);
      Grammar grammar =
          new Grammar(
              List.copyOf(nodes), Arrays.copyOf(starts, numRules), root, all, betweenCharacters);
      if (!grammar.live.get(grammar.start())) {
        throw new GrammarException(path, "has no text that satisfies it");
      }
      return grammar;
    }
  }
}
