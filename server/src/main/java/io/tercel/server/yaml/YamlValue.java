package io.tercel.server.yaml;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * A value in a file, and its place. What asks for another type than it has gets a {@link
 * YamlException} that names file, line and field; values are not shown, since they may be secrets.
 */
public final class YamlValue {
  private final String file;
  private final String path;
  private final Node node;

  YamlValue(String file, String path, Node node) {
    this.file = file;
    this.path = path;
    this.node = node;
  }

  /** Such as {@code keys[1].name}; empty for the whole file. */
  public String path() {
    return path;
  }

  /** From 1. */
  public int line() {
    return node.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
  }

  /** What is wrong with it, told behind its place. */
  public YamlException wrong(String message) {
    String field = path.isEmpty() ? "" : path + " ";
    return new YamlException("%s, line %d: %s%s".formatted(file, line(), field, message));
  }

  /** As it is written, whatever it is meant as: a text, a number, a truth. */
  public String text() {
    if (!(node instanceof ScalarNode scalar)) {
      throw wrong("must be one value, not a " + kind());
    }
    if (scalar.getTag().equals(Tag.NULL)) {
      throw wrong("has no value");
    }
    return scalar.getValue();
  }

  /** Whether it is a list. */
  public boolean isList() {
    return node instanceof SequenceNode;
  }

  private String kind() {
    return node instanceof SequenceNode ? "list" : "map";
  }

  /** An integer within bounds. */
  public long integer(long min, long max) {
    String text = text();
    try {
      long value = Long.parseLong(text);
      if (value >= min && value <= max) {
        return value;
      }
    } catch (NumberFormatException e) {
      // told below
    }
    throw wrong("must be an integer from %d to %d".formatted(min, max));
  }

  public boolean truth() {
    return switch (text()) {
      case "true" -> true;
      case "false" -> false;
      default -> throw wrong("must be true or false");
    };
  }

  public List<YamlValue> list() {
    if (!(node instanceof SequenceNode sequence)) {
      throw wrong("must be a list");
    }
    List<YamlValue> all = new ArrayList<>();
    for (Node item : sequence.getValue()) {
      all.add(new YamlValue(file, path + "[" + all.size() + "]", item));
    }
    return all;
  }

  /** Its fields by their names, in their order. */
  public Map<String, YamlValue> fields() {
    if (!(node instanceof MappingNode mapping)) {
      throw wrong("must have fields, such as 'name: value'");
    }
    Map<String, YamlValue> all = new LinkedHashMap<>();
    for (NodeTuple tuple : mapping.getValue()) {
      if (!(tuple.getKeyNode() instanceof ScalarNode key)) {
        throw new YamlValue(file, path, tuple.getKeyNode()).wrong("has a field without a name");
      }
      String name = key.getValue();
      String below = path.isEmpty() ? name : path + "." + name;
      if (all.put(name, new YamlValue(file, below, tuple.getValueNode())) != null) {
        throw new YamlValue(file, below, key).wrong("is there twice");
      }
    }
    return all;
  }
}
