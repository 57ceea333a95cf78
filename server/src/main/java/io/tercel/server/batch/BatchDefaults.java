package io.tercel.server.batch;

import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What holds for requests of a file that don't say it themselves.
 *
 * @param choices of each; 0 leaves it to the server
 * @param serviceClass whose shares they are served from
 */
public record BatchDefaults(int choices, String serviceClass) {

  /** The body with them. */
  ObjectNode addTo(ObjectNode body, boolean oneChoice) {
    if (choices > 0 && !oneChoice && !body.hasNonNull("n")) {
      body.put("n", choices);
    }
    if (!body.hasNonNull("service_class")) {
      body.put("service_class", serviceClass);
    }
    return body;
  }
}
