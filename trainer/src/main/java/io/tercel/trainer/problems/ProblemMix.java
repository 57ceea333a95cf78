package io.tercel.trainer.problems;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * An endless supply of problems of several families by weight. The problem at an index is a
 * function of (seed, partition, index, level) alone.
 */
public final class ProblemMix {
  private static final int MAX_TRIES = 10_000;
  private static final Map<String, Family> FAMILIES = families();

  private final List<Family> families = new ArrayList<>();
  private final List<Double> upTo = new ArrayList<>();
  private final double total;
  private final Authors authors;

  private ProblemMix(List<Family> families, List<Double> upTo, double total, Authors authors) {
    this.families.addAll(families);
    this.upTo.addAll(upTo);
    this.total = total;
    this.authors = authors;
  }

  private ProblemMix(Map<String, Double> weights) {
    authors = Authors.USUAL;
    double sum = 0;
    for (Map.Entry<String, Double> entry : weights.entrySet()) {
      Family family = FAMILIES.get(entry.getKey());
      if (family == null) {
        throw new IllegalArgumentException(
            "no family " + entry.getKey() + "; there are " + String.join(", ", FAMILIES.keySet()));
      }
      if (!(entry.getValue() > 0)) {
        throw new IllegalArgumentException("the weight of " + entry.getKey() + " is not above 0");
      }
      families.add(family);
      sum += entry.getValue();
      upTo.add(sum);
    }
    if (families.isEmpty()) {
      throw new IllegalArgumentException("no family of problems is named");
    }
    total = sum;
  }

  /**
   * @param weights by family; they need not sum to one
   * @throws IllegalArgumentException in one line, for a family that there is not
   */
  public static ProblemMix of(Map<String, Double> weights) {
    // sorted, so that the order of a file's lines does not matter
    return new ProblemMix(new TreeMap<>(weights));
  }

  /**
   * These problems, of which another author works another share than the usual tenth. A student is
   * told from its teacher only by texts that the teacher would not write.
   *
   * @param share from 0 to 1, of families that have two authors
   */
  public ProblemMix withOtherStyle(double share) {
    if (!(share >= 0 && share <= 1)) {
      throw new IllegalArgumentException("the other style's share is " + share + ", not 0 to 1");
    }
    return new ProblemMix(families, upTo, total, Authors.share(share));
  }

  /** All families, by name. */
  public static List<String> familyNames() {
    return List.copyOf(FAMILIES.keySet());
  }

  /**
   * The problem at an index.
   *
   * @param level as {@link Family#draw} has it
   * @throws IllegalArgumentException if the families drawn have no problem in the partition
   */
  public Problem draw(long seed, Partition partition, long index, int level) {
    Random random = Seeds.random(seed, partition.ordinal(), index);
    for (int i = 0; i < MAX_TRIES; i++) {
      Problem problem = family(random.nextDouble() * total).draw(random, level, authors);
      if (partition.contains(problem)) {
        return problem;
      }
    }
    throw new IllegalArgumentException("these families have no problems in " + partition);
  }

  /** As many held-out problems, all different, of the whole range. */
  public List<Problem> distinct(long seed, Partition partition, int count) {
    Map<String, Problem> problems = new LinkedHashMap<>();
    long index = 0;
    while (problems.size() < count) {
      if (index > 100L * count + 1000) {
        throw new IllegalArgumentException(
            "these families have only " + problems.size() + " different problems in " + partition);
      }
      Problem problem = draw(seed, partition, index++, Family.FULL);
      String key = problem.facts().isEmpty() ? problem.question() : problem.facts().getFirst();
      problems.putIfAbsent(key, problem);
    }
    return List.copyOf(problems.values());
  }

  private Family family(double at) {
    int i = 0;
    while (i < families.size() - 1 && at >= upTo.get(i)) {
      i++;
    }
    return families.get(i);
  }

  private static Map<String, Family> families() {
    Map<String, Family> map = new LinkedHashMap<>();
    List<Family> all = new ArrayList<>(List.of(Arithmetic.values()));
    all.addAll(List.of(new Comparison(), new Story(), new Talk()));
    all.addAll(List.of(Chains.values()));
    all.forEach(family -> map.put(family.id(), family));
    return map;
  }
}
