package io.tercel.server.request;

import io.tercel.server.call.ApiException;
import io.tercel.server.call.KeyHolder;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.StaleKv;
import java.util.Arrays;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * How a request is treated among others, as its fields {@code service_class}, {@code priority},
 * {@code stale_kv} and {@code group_id} say.
 *
 * @param serviceClass null where it says none
 */
public record Service(
    @Nullable ServiceClass serviceClass, int priority, StaleKv staleKv, @Nullable String group) {
  private static final int MAX_GROUP = 256;

  public static Service read(RequestFields fields) {
    String group = fields.string("group_id");
    if (group != null && (group.isEmpty() || group.length() > MAX_GROUP)) {
      throw ApiException.invalid(
          fields.path("group_id"),
          "group_id has %d characters; it must have 1 to %d".formatted(group.length(), MAX_GROUP));
    }
    return new Service(
        fields.string("service_class") == null
            ? null
            : oneOf(fields, "service_class", ServiceClass.values(), ServiceClass::label),
        fields.integer("priority", 0, Integer.MIN_VALUE, Integer.MAX_VALUE),
        oneOf(fields, "stale_kv", StaleKv.values(), StaleKv::label),
        group);
  }

  /** One of the values by its label; the first where the field is absent. */
  private static <T> T oneOf(
      RequestFields fields, String name, T[] values, Function<T, String> label) {
    String wanted = fields.string(name);
    if (wanted == null) {
      return values[0];
    }
    for (T value : values) {
      if (label.apply(value).equals(wanted)) {
        return value;
      }
    }
    String known = Arrays.stream(values).map(label).collect(Collectors.joining(", "));
    throw ApiException.invalid(
        fields.path(name), "%s is '%s'; it must be one of %s".formatted(name, wanted, known));
  }

  /**
   * The request, to be treated so.
   *
   * @param holder of the key that it came with, who may have a class of its own
   * @throws ApiException 403 if the key is not for the class
   */
  public GenerationRequest of(GenerationRequest request, KeyHolder holder) {
    return request
        .withServiceClass(holder.serviceClass(serviceClass))
        .withPriority(priority)
        .withStaleKv(staleKv)
        .withGroup(group);
  }
}
