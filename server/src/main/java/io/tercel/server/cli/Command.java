package io.tercel.server.cli;

import java.util.concurrent.Callable;

/**
 * A subcommand of {@code tercel}: a class with picocli's annotations and a public constructor
 * without arguments, found by {@link java.util.ServiceLoader}. Other modules add theirs that way.
 * Constructing one loads no native code.
 *
 * <p>{@code call} returns the exit status. A {@link UserException} ends with its one line and
 * status 1; anything else is a defect and shows its stack.
 */
public interface Command extends Callable<Integer> {}
