package io.tercel.loadtests.data;

/** Counts the tokens of texts, as the server does or about so. */
public interface TokenCounter {
  /** How many tokens a text has, without special ones. */
  int count(String text) throws InterruptedException;
}
