package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The message that asks a problem: a text with {@code {problem}} in it. */
public record PromptTemplate(String text) {
  private static final String PROBLEM = "{problem}";

  /** The usual one for mathematics. */
  public static final PromptTemplate MATHS =
      new PromptTemplate(
          PROBLEM + "\n\nPlease reason step by step, and put your final answer within \\boxed{}.");

  public PromptTemplate {
    if (!text.contains(PROBLEM)) {
      throw new UserException(
          "--prompt-template: no {problem} in it, which is where the problem goes");
    }
  }

  /** A template as the command line gives it: a text, or a file after an at sign. */
  public static PromptTemplate of(String argument) {
    if (!argument.startsWith("@")) {
      return new PromptTemplate(argument);
    }
    try {
      return new PromptTemplate(Files.readString(Path.of(argument.substring(1))).stripTrailing());
    } catch (IOException e) {
      throw new UserException("--prompt-template: can't read " + argument.substring(1), e);
    }
  }

  /** The message that asks a problem. */
  public String render(String problem) {
    return text.replace(PROBLEM, problem);
  }
}
