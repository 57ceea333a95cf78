package io.tercel.server.access;

import io.tercel.server.call.ApiKey;
import io.tercel.server.call.KeyTerms;
import io.tercel.server.call.NamedKey;
import io.tercel.server.call.Rights;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.yaml.Nearest;
import io.tercel.server.yaml.YamlException;
import io.tercel.server.yaml.YamlFile;
import io.tercel.server.yaml.YamlValue;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Reads the fields of a file of keys. */
final class KeyFields {
  private static final int MAX_KEYS = 1000;
  private static final long MAX_LIMIT = 1_000_000_000_000L;
  private static final Set<String> KNOWN =
      new TreeSet<>(
          Set.of(
              "name",
              "key",
              "sha256",
              "requests_per_minute",
              "tokens_per_minute",
              "classes",
              "default_class",
              "expires",
              "admin"));

  private KeyFields() {}

  /**
   * All keys of a file.
   *
   * @throws YamlException if one isn't as it should be, with its line and field
   */
  static List<NamedKey> read(String file, byte[] bytes) {
    YamlValue root = YamlFile.read(file, bytes);
    Map<String, YamlValue> fields = root.fields();
    requireKnown(fields, Set.of("keys"));
    YamlValue keys = fields.get("keys");
    if (keys == null) {
      throw root.wrong("must have 'keys:', a list of keys");
    }
    List<YamlValue> items = keys.list();
    if (items.size() > MAX_KEYS) {
      throw keys.wrong("has %d keys; %d are allowed".formatted(items.size(), MAX_KEYS));
    }
    List<NamedKey> all = new ArrayList<>();
    for (YamlValue item : items) {
      all.add(key(item, item.fields()));
    }
    return all;
  }

  private static NamedKey key(YamlValue item, Map<String, YamlValue> fields) {
    requireKnown(fields, KNOWN);
    YamlValue name = fields.get("name");
    if (name == null) {
      throw item.wrong("has no name");
    }
    ApiKey key = secret(item, fields.get("key"), fields.get("sha256"));
    KeyTerms terms = terms(fields);
    try {
      return new NamedKey(name.text(), key, terms);
    } catch (IllegalArgumentException e) {
      throw name.wrong(String.valueOf(e.getMessage()));
    }
  }

  private static ApiKey secret(
      YamlValue item, @Nullable YamlValue key, @Nullable YamlValue sha256) {
    if ((key == null) == (sha256 == null)) {
      throw item.wrong("must have either key or sha256, the SHA-256 of the key in hexadecimal");
    }
    YamlValue given = key == null ? sha256 : key;
    try {
      return key == null ? ApiKey.ofSha256(given.text()) : ApiKey.of(given.text());
    } catch (IllegalArgumentException e) {
      throw given.wrong(String.valueOf(e.getMessage()));
    }
  }

  private static KeyTerms terms(Map<String, YamlValue> fields) {
    KeyTerms terms = KeyTerms.CLIENT;
    YamlValue admin = fields.get("admin");
    if (admin != null && admin.truth()) {
      terms = terms.withRights(Rights.ADMIN);
    }
    YamlValue requests = fields.get("requests_per_minute");
    if (requests != null) {
      terms = terms.withRequestsPerMinute(requests.integer(1, MAX_LIMIT));
    }
    YamlValue tokens = fields.get("tokens_per_minute");
    if (tokens != null) {
      terms = terms.withTokensPerMinute(tokens.integer(1, MAX_LIMIT));
    }
    YamlValue expires = fields.get("expires");
    if (expires != null) {
      terms = terms.withExpiry(time(expires));
    }
    return classes(terms, fields.get("classes"), fields.get("default_class"));
  }

  private static KeyTerms classes(
      KeyTerms terms, @Nullable YamlValue classes, @Nullable YamlValue defaultClass) {
    List<ServiceClass> allowed = new ArrayList<>();
    if (classes != null) {
      classes.list().forEach(item -> allowed.add(serviceClass(item)));
      if (allowed.isEmpty()) {
        throw classes.wrong("must name one class at least; leave it out to allow all");
      }
    }
    if (defaultClass == null) {
      return allowed.isEmpty() ? terms : terms.withClasses(allowed, allowed.getFirst());
    }
    ServiceClass otherwise = serviceClass(defaultClass);
    if (!allowed.isEmpty() && !allowed.contains(otherwise)) {
      throw defaultClass.wrong("must be one of the key's classes");
    }
    return terms.withClasses(allowed, otherwise);
  }

  private static ServiceClass serviceClass(YamlValue value) {
    ServiceClass found = ServiceClass.of(value.text());
    if (found == null) {
      throw value.wrong("must be chat, rollout or batch");
    }
    return found;
  }

  private static Instant time(YamlValue value) {
    try {
      return OffsetDateTime.parse(value.text()).toInstant();
    } catch (DateTimeException e) {
      throw value.wrong("must be a time with its zone, such as 2027-01-31T00:00:00Z");
    }
  }

  private static void requireKnown(Map<String, YamlValue> fields, Set<String> known) {
    fields.forEach(
        (name, value) -> {
          if (!known.contains(name)) {
            throw value.wrong("is no field of it; did you mean '" + Nearest.to(name, known) + "'?");
          }
        });
  }
}
