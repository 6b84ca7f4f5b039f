package dev.lanes.cache;

import static dev.lanes.backend.KvPages.PAGE_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Random sequences that come, grow, fork, lose pages, end and return; what the pages hold is checked beside the accounting. */
class KvCacheRandomTest {
  private static final int PAGES = 24;
  private static final int STEPS = 20_000;

  /** A sequence with the tokens whose keys it believes to be in its pages. */
  private record Live(SequencePages pages, int[] tokens, PrefixVariant variant) {}

  @Test
  void noPageEverServesOtherTokens() {
    long seed = Long.getLong("lanes.test.seed", 42);
    Random random = new Random(seed);
    FakePages memory = new FakePages(FakePages.spec(PAGES));
    KvCache cache = new KvCache(memory.backend(), memory.spec(), new KvCache.Options(true, false));
    // What was written to each page: the tokens of the sequence up to its end, and the variant.
    Map<Integer, List<Object>> content = new HashMap<>();
    List<Live> live = new ArrayList<>();
    int refused = 0;
    for (int step = 0; step < STEPS; step++) {
      String at = "seed " + seed + ", step " + step;
      int choice = random.nextInt(10);
      try {
        if (live.isEmpty() || choice < 3) {
          live.add(begin(cache, random, content));
        } else {
          int index = random.nextInt(live.size());
          Live one = live.get(index);
          if (choice < 6) {
            live.set(index, grow(one, random, content));
          } else if (choice == 6) {
            one.pages.evictBefore(random.nextInt(one.pages.length() + 1), random.nextInt(2) * 4);
          } else if (choice == 7 && one.pages.heldPages() > 0) {
            SequencePages fork = one.pages.fork(random.nextInt(one.pages.length() + 1));
            live.add(new Live(fork, Arrays.copyOf(one.tokens, fork.length()), one.variant));
          } else {
            cache.remember(one.pages, one.tokens, one.tokens.length, one.variant);
            one.pages.close();
            live.remove(index);
          }
        }
      } catch (CacheFullException e) {
        refused++;
        while (!live.isEmpty()) {
          live.remove(0).pages.close();
        }
      }
      cache.checkIntegrity();
      for (Live one : live) {
        check(at, one, content);
      }
    }
    live.forEach(one -> one.pages.close());
    cache.forgetPrefixes();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES);
    assertThat(refused).as("the pool ran out now and then").isPositive();
    assertThat(cache.stats().prefixHits()).as("prefixes were reused").isGreaterThan(STEPS / 100);
  }

  private static Live begin(KvCache cache, Random random, Map<Integer, List<Object>> content) {
    int[] prompt = new int[1 + random.nextInt(4 * PAGE_TOKENS)];
    int kind = random.nextInt(3);
    for (int i = 0; i < prompt.length; i++) {
      prompt[i] = kind == 0 ? 0 : i / PAGE_TOKENS * kind;
    }
    PrefixVariant variant = random.nextInt(4) == 0 ? new PrefixVariant(100, 4) : PrefixVariant.FULL;
    SequencePages pages = cache.sequence(prompt, variant);
    int reused = pages.length();
    try {
      pages.reserve(prompt.length - pages.length());
    } catch (CacheFullException e) {
      pages.close();
      throw e;
    }
    Live begun = new Live(pages, prompt, variant);
    write(begun, reused, content);
    cache.remember(pages, prompt, prompt.length, variant);
    return begun;
  }

  private static Live grow(Live one, Random random, Map<Integer, List<Object>> content) {
    int more = random.nextInt(PAGE_TOKENS);
    one.pages.reserve(more);
    int[] tokens = Arrays.copyOf(one.tokens, one.tokens.length + more);
    for (int i = one.tokens.length; i < tokens.length; i++) {
      tokens[i] = random.nextInt(2);
    }
    Live grown = new Live(one.pages, tokens, one.variant);
    write(grown, one.tokens.length, content);
    return grown;
  }

  /** Writes the tokens from {@code begin} on, as a step would. */
  private static void write(Live one, int begin, Map<Integer, List<Object>> content) {
    int[] table = one.pages.pageTable();
    for (int i = begin / PAGE_TOKENS; i < table.length; i++) {
      if (table[i] >= 0 && begin < one.tokens.length) {
        content.put(table[i], expected(one, i));
      }
    }
  }

  private static void check(String at, Live one, Map<Integer, List<Object>> content) {
    int[] table = one.pages.pageTable();
    for (int i = 0; i < table.length; i++) {
      if (table[i] >= 0) {
        assertThat(content.get(table[i])).as("%s, page %d of a sequence", at, i).isEqualTo(expected(one, i));
      }
    }
  }

  private static List<Object> expected(Live one, int page) {
    int end = Math.min(one.tokens.length, (page + 1) * PAGE_TOKENS);
    return List.of(one.variant, Arrays.hashCode(Arrays.copyOf(one.tokens, end)), end);
  }
}
