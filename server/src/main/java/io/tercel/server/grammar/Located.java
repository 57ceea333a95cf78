package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A schema where it stands. Two are equal if they say the same, wherever they stand.
 *
 * @param base what its references are relative to
 * @param path for refusals
 */
record Located(JsonNode schema, String base, String path) {

  /** A schema within this one. */
  Located child(JsonNode its, String relativePath) {
    return new Located(its, SchemaSource.baseWithin(its, base), path + relativePath);
  }

  /** Another one in its place. */
  Located with(JsonNode other) {
    return new Located(other, base, path);
  }

  boolean isNothing() {
    return schema.isBoolean() && !schema.booleanValue();
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Located l && base.equals(l.base) && schema.equals(l.schema);
  }

  @Override
  public int hashCode() {
    return Objects.hash(base, schema);
  }
}
