/**
 * What a client asks for, read from fields: the conversation as a prompt, how tokens are drawn, the
 * thought's bounds, the answer's form. Every API puts its requests into these fields, and knows
 * none of the others.
 */
@NullMarked
package io.tercel.server.request;

import org.jspecify.annotations.NullMarked;
