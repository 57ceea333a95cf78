package io.tercel.server.openai.wire;

import java.util.List;

/** All served models. */
public record ModelList(String object, List<ModelCard> data) {}
