package io.tercel.loadtests.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class MixedDatasetTest {
  private static final Dataset BASE =
      index -> new LoadRequest(index, new Prompt.Text("p" + index), 8, index);

  private static String prompt(LoadRequest request) {
    return ((Prompt.Text) request.prompt()).text();
  }

  @Test
  void shares_areThoseOfRequests() {
    Map<String, Double> shares = Map.of("chat", 0.5, "rollout", 0.4, "batch", 0.1);
    for (int group : new int[] {1, 4}) {
      Dataset mixed = new MixedDataset(BASE, shares, group, 3);
      Map<String, Integer> counts = new HashMap<>();
      for (int i = 0; i < 20_000; i++) {
        counts.merge(mixed.request(i).tags().serviceClass(), 1, Integer::sum);
      }
      assertEquals(shares.keySet(), counts.keySet());
      shares.forEach(
          (name, share) ->
              assertEquals(share, counts.getOrDefault(name, 0) / 20_000.0, 0.03, name));
    }
  }

  @Test
  void rollouts_comeInGroupsOfOnePrompt() {
    Dataset mixed = new MixedDataset(BASE, Map.of("chat", 0.5, "rollout", 0.5), 8, 3);
    Set<String> groups = new HashSet<>();
    Set<String> prompts = new HashSet<>();
    int rollouts = 0;
    for (int block = 0; block < 40; block++) {
      LoadRequest first = mixed.request(block * 8L);
      Set<Long> seeds = new HashSet<>();
      for (int i = 0; i < 8; i++) {
        long index = block * 8L + i;
        LoadRequest request = mixed.request(index);
        assertEquals(index, request.index());
        assertEquals(first.tags(), request.tags());
        seeds.add(request.seed());
        if (request.tags().serviceClass().equals("rollout")) {
          assertEquals(prompt(first), prompt(request));
          assertEquals(block * 8L, mixed.sentWith(index));
        } else {
          assertEquals("", request.tags().groupId());
          assertEquals("p" + index, prompt(request));
          assertEquals(index, mixed.sentWith(index));
        }
      }
      assertEquals(8, seeds.size()); // eight samples, not one eight times
      if (first.tags().serviceClass().equals("rollout")) {
        rollouts++;
        groups.add(first.tags().groupId());
        prompts.add(prompt(first));
      }
    }
    assertTrue(rollouts > 5, () -> "of 40 blocks");
    assertEquals(rollouts, groups.size());
    assertEquals(rollouts, prompts.size());
  }
}
