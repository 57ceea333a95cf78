package io.tercel.server.call;

import io.tercel.server.engine.ServiceClass;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a key allows. Immutable; as it is made it is a client's, without limits, for all classes.
 */
public final class KeyTerms {
  /** A client's, without limits. */
  public static final KeyTerms CLIENT = new KeyTerms(Rights.CLIENT, 0, 0, List.of(), null, null);

  /** Whoever runs the server has these. */
  public static final KeyTerms ADMIN = CLIENT.withRights(Rights.ADMIN);

  private final Rights rights;
  private final long requestsPerMinute;
  private final long tokensPerMinute;
  private final List<ServiceClass> classes;
  private final @Nullable ServiceClass defaultClass;
  private final @Nullable Instant expires;

  private KeyTerms(
      Rights rights,
      long requestsPerMinute,
      long tokensPerMinute,
      List<ServiceClass> classes,
      @Nullable ServiceClass defaultClass,
      @Nullable Instant expires) {
    this.rights = rights;
    this.requestsPerMinute = requestsPerMinute;
    this.tokensPerMinute = tokensPerMinute;
    this.classes = classes;
    this.defaultClass = defaultClass;
    this.expires = expires;
  }

  public KeyTerms withRights(Rights value) {
    return new KeyTerms(value, requestsPerMinute, tokensPerMinute, classes, defaultClass, expires);
  }

  /** 0 for as many as come. */
  public KeyTerms withRequestsPerMinute(long value) {
    return new KeyTerms(rights, value, tokensPerMinute, classes, defaultClass, expires);
  }

  /** Of prompts and answers together; 0 for as many as come. */
  public KeyTerms withTokensPerMinute(long value) {
    return new KeyTerms(rights, requestsPerMinute, value, classes, defaultClass, expires);
  }

  /**
   * Requests of these classes only.
   *
   * @param value none for all
   * @param otherwise the class of a request that names none, one of them
   */
  public KeyTerms withClasses(List<ServiceClass> value, ServiceClass otherwise) {
    return new KeyTerms(
        rights, requestsPerMinute, tokensPerMinute, List.copyOf(value), otherwise, expires);
  }

  /** From then on it opens nothing. */
  public KeyTerms withExpiry(Instant value) {
    return new KeyTerms(rights, requestsPerMinute, tokensPerMinute, classes, defaultClass, value);
  }

  Rights rights() {
    return rights;
  }

  long requestsPerMinute() {
    return requestsPerMinute;
  }

  long tokensPerMinute() {
    return tokensPerMinute;
  }

  boolean limited() {
    return requestsPerMinute > 0 || tokensPerMinute > 0;
  }

  boolean expired(Instant now) {
    return expires != null && !now.isBefore(expires);
  }

  /**
   * The class that a request is served in.
   *
   * @param asked null where it names none
   * @throws ApiException 403 if the key is not for that
   */
  ServiceClass serviceClass(@Nullable ServiceClass asked) {
    if (asked == null) {
      return defaultClass == null ? ServiceClass.CHAT : defaultClass;
    }
    if (!classes.isEmpty() && !classes.contains(asked)) {
      throw ApiException.forbidden(
          "service_class",
          "service_class is %s; this key is for %s only"
              .formatted(
                  asked.label(), String.join(", ", classes.stream().map(c -> c.label()).toList())));
    }
    return asked;
  }
}
