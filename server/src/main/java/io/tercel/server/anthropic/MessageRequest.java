package io.tercel.server.anthropic;

import io.tercel.server.request.ChatRequest;

/**
 * A request of /v1/messages, ready to be submitted.
 *
 * @param chat what every API makes of it
 * @param cutByContext whether the context leaves less room than {@code max_tokens}
 * @param hidesThought whether the thought's text stays here
 */
record MessageRequest(ChatRequest chat, boolean cutByContext, boolean hidesThought) {}
