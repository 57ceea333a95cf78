package io.tercel.server.engine;

import io.tercel.server.engine.Sequence.State;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The sequences that begin with one and the same prompt: the n choices of a request, and those of
 * every request of its group. The first in rank computes the prompt; the others wait for that, and
 * take its full blocks from the prefix cache. It is as good for a prompt that has to be computed
 * again, after new weights for instance: whoever is first then goes ahead.
 *
 * <p>One that can't share does not lead: whose client doesn't read, so that it computes nothing, or
 * which keeps keys of older weights, which nobody else may use.
 */
final class SharedPrompt {
  private final ServiceClass serviceClass;
  private final int[] prompt;
  private final List<Sequence> members = new ArrayList<>(); // by rank

  private SharedPrompt(Sequence first) {
    this.serviceClass = first.serviceClass();
    this.prompt = Arrays.copyOf(first.tokens(), first.numPromptTokens());
  }

  private boolean fits(Sequence s) {
    return s.serviceClass() == serviceClass
        && s.numPromptTokens() == prompt.length
        && Arrays.equals(prompt, 0, prompt.length, s.tokens(), 0, prompt.length);
  }

  private void join(Sequence s) {
    int at = Collections.binarySearch(members, s, Sequence.BY_RANK);
    members.add(-at - 1, s);
    s.sharedPrompt(this);
  }

  /** Whether another is to compute the prompt first. */
  boolean mustWait(Sequence s) {
    Sequence first = null;
    for (Sequence m : members) {
      if (m.mixesWeights()) {
        continue;
      }
      if (m.hasComputedPrompt()) {
        return false;
      }
      if (first == null && !m.stalled()) {
        first = m;
      }
    }
    return first != null && first != s;
  }

  /** All of them that are alive, by their groups' names. Owned by the scheduler. */
  static final class Registry {
    private final Map<String, List<SharedPrompt>> groups = new HashMap<>();

    /** Enters the choices of one request. */
    void add(List<Sequence> choices) {
      Sequence first = choices.getFirst();
      String group = first.group();
      if (group == null && choices.size() == 1) {
        return;
      }
      SharedPrompt found = group == null ? null : find(group, first);
      SharedPrompt shared = found == null ? new SharedPrompt(first) : found;
      if (group != null && found == null) {
        groups.computeIfAbsent(group, _ -> new ArrayList<>()).add(shared);
      }
      choices.forEach(shared::join);
    }

    private @Nullable SharedPrompt find(String group, Sequence first) {
      for (SharedPrompt shared : groups.getOrDefault(group, List.of())) {
        if (shared.fits(first)) {
          return shared;
        }
      }
      return null;
    }

    /** Takes a finished sequence out. */
    void remove(Sequence s) {
      SharedPrompt shared = s.sharedPrompt();
      if (shared == null) {
        return;
      }
      shared.members.remove(s);
      String group = s.group();
      if (group != null && shared.members.isEmpty()) {
        List<SharedPrompt> prompts = groups.getOrDefault(group, new ArrayList<>());
        prompts.remove(shared);
        if (prompts.isEmpty()) {
          groups.remove(group);
        }
      }
    }

    /** Members are alive and in rank, and no group is empty. */
    void checkInvariants() {
      groups.forEach(
          (group, prompts) -> {
            for (SharedPrompt shared : prompts) {
              if (shared.members.isEmpty()
                  || shared.members.stream().anyMatch(m -> m.state() == State.FINISHED)) {
                throw new IllegalStateException("group " + group + " has members that are gone");
              }
            }
          });
    }
  }
}
