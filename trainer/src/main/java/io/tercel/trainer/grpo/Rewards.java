package io.tercel.trainer.grpo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

/** Rewards by name. */
final class Rewards {
  private Rewards() {}

  /**
   * Reads {@code NAME} or {@code NAME={JSON}}.
   *
   * @throws UserException that names what is wrong, and what there is
   */
  static Reward parse(String text) {
    int equals = text.indexOf('=');
    String name = equals < 0 ? text : text.substring(0, equals);
    List<String> known = new ArrayList<>();
    for (RewardProvider provider : ServiceLoader.load(RewardProvider.class)) {
      known.add(provider.name());
      if (provider.name().equals(name)) {
        try {
          return provider.create(config(equals < 0 ? "{}" : text.substring(equals + 1)));
        } catch (IllegalArgumentException e) {
          throw new UserException("--reward: " + e.getMessage(), e);
        }
      }
    }
    throw new UserException("--reward: %s is none of %s".formatted(name, String.join(", ", known)));
  }

  private static JsonNode config(String json) {
    try {
      JsonNode config = new ObjectMapper().readTree(json);
      if (!config.isObject()) {
        throw new UserException("--reward: what follows = is to be a JSON object, not " + json);
      }
      return config;
    } catch (JsonProcessingException e) {
      throw new UserException("--reward: " + json + " is no JSON: " + e.getOriginalMessage(), e);
    }
  }
}
