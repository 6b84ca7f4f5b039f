package dev.lanes.cache;

import static dev.lanes.backend.KvPages.PAGE_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class KvCacheTest {
  private static final int PAGES = 10;

  private FakePages pages;
  private KvCache cache;

  @BeforeEach
  void open() {
    pages = new FakePages(FakePages.spec(PAGES));
    cache = new KvCache(pages.backend(), pages.spec(), new KvCache.Options(true, false));
  }

  @AfterEach
  void integrity() {
    cache.checkIntegrity();
  }

  @Test
  void countsPagesOfTokens() {
    assertThat(KvCache.pagesFor(0)).isZero();
    assertThat(KvCache.pagesFor(1)).isEqualTo(1);
    assertThat(KvCache.pagesFor(PAGE_TOKENS)).isEqualTo(1);
    assertThat(KvCache.pagesFor(PAGE_TOKENS + 1)).isEqualTo(2);
    assertThat(KvCache.pagesFor(Integer.MAX_VALUE)).isEqualTo(Integer.MAX_VALUE / PAGE_TOKENS + 1);
  }

  @Test
  void reservesWholePagesAndGivesThemBack() {
    SequencePages sequence = cache.sequence();
    assertThat(sequence.pagesNeeded(PAGE_TOKENS + 1)).isEqualTo(2);
    sequence.reserve(PAGE_TOKENS + 1);
    assertThat(sequence.length()).isEqualTo(PAGE_TOKENS + 1);
    assertThat(sequence.pageTable()).hasSize(2).doesNotHaveDuplicates();
    assertThat(sequence.pagesNeeded(PAGE_TOKENS - 1)).isZero();
    sequence.reserve(PAGE_TOKENS - 1);
    assertThat(sequence.heldPages()).isEqualTo(2);
    assertThat(cache.stats().freePages()).isEqualTo(PAGES - 2);
    assertThat(cache.stats().sequences()).isEqualTo(1);
    sequence.close();
    sequence.close();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES);
    assertThat(cache.stats().sequences()).isZero();
  }

  @Test
  void slotsFollowThePageTable() {
    SequencePages sequence = cache.sequence();
    sequence.reserve(3 * PAGE_TOKENS);
    long[] slots = sequence.slots(PAGE_TOKENS - 1, 2);
    int[] table = sequence.pageTable();
    assertThat(slots).containsExactly((long) table[0] * PAGE_TOKENS + PAGE_TOKENS - 1, (long) table[1] * PAGE_TOKENS);
    assertThatThrownBy(() -> sequence.slots(0, 3 * PAGE_TOKENS + 1)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatIllegalArgumentException().isThrownBy(() -> sequence.slots(0, -1));
  }

  @Test
  void reservesAllOrNothing() {
    SequencePages first = cache.sequence();
    first.reserve((PAGES - 2) * PAGE_TOKENS);
    SequencePages second = cache.sequence();
    second.reserve(1);
    assertThatThrownBy(() -> second.reserve(2 * PAGE_TOKENS))
        .isInstanceOfSatisfying(CacheFullException.class, e -> {
          assertThat(e.neededPages()).isEqualTo(2);
          assertThat(e.availablePages()).isEqualTo(1);
          assertThat(e.totalPages()).isEqualTo(PAGES);
        });
    assertThat(second.length()).isEqualTo(1);
    assertThat(cache.stats().freePages()).isEqualTo(1);
    second.reserve(2 * PAGE_TOKENS - 1);
    assertThat(cache.stats().freePages()).isZero();
    assertThatThrownBy(() -> second.reserve(Integer.MAX_VALUE)).isInstanceOf(ArithmeticException.class);
  }

  @Test
  void evictsWholePagesButKeepsSinks() {
    SequencePages sequence = cache.sequence();
    sequence.reserve(6 * PAGE_TOKENS);
    int[] before = sequence.pageTable();
    assertThat(sequence.evictBefore(3 * PAGE_TOKENS + 5, 4)).isEqualTo(2);
    assertThat(sequence.pageTable()).containsExactly(before[0], -1, -1, before[3], before[4], before[5]);
    assertThat(before).doesNotContain(-1);
    assertThat(sequence.slots(PAGE_TOKENS, 1)).containsExactly(-1);
    assertThat(sequence.evictBefore(3 * PAGE_TOKENS + 6, 4)).isZero();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES - 4);
    assertThat(sequence.evictBefore(6 * PAGE_TOKENS, PAGE_TOKENS + 1)).isEqualTo(3);
    assertThatIllegalArgumentException().isThrownBy(() -> sequence.evictBefore(6 * PAGE_TOKENS + 1, 0));
    sequence.close();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES);
  }

  @Test
  void forkSharesWholePages() {
    SequencePages parent = cache.sequence();
    parent.reserve(2 * PAGE_TOKENS + 7);
    SequencePages child = parent.fork(2 * PAGE_TOKENS + 7);
    assertThat(child.length()).isEqualTo(2 * PAGE_TOKENS);
    assertThat(child.pageTable()).containsExactly(Arrays.copyOf(parent.pageTable(), 2));
    child.reserve(1);
    assertThat(child.pageTable()[2]).isNotEqualTo(parent.pageTable()[2]);
    parent.close();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES - 3);
    cache.checkIntegrity();
    child.close();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES);
  }

  @Test
  void aPrefixIsFoundAgainAfterItsSequenceEnded() {
    int[] prompt = tokens(3 * PAGE_TOKENS + 10, 0);
    int[] table = compute(prompt, PrefixVariant.FULL);
    assertThat(cache.stats().idlePages()).isEqualTo(3);
    assertThat(cache.stats().availablePages()).isEqualTo(PAGES);
    try (SequencePages again = cache.sequence(prompt, PrefixVariant.FULL)) {
      assertThat(again.length()).isEqualTo(3 * PAGE_TOKENS);
      assertThat(again.pageTable()).containsExactly(Arrays.copyOf(table, 3));
      assertThat(cache.stats().idlePages()).isZero();
      assertThat(cache.stats().prefixHits()).isEqualTo(1);
      assertThat(cache.stats().reusedTokens()).isEqualTo(3 * PAGE_TOKENS);
    }
  }

  @Test
  void aPrefixEndsWhereTheTokensDiffer() {
    int[] prompt = tokens(3 * PAGE_TOKENS + 10, 0);
    compute(prompt, PrefixVariant.FULL);
    int[] other = prompt.clone();
    other[PAGE_TOKENS + 3]++;
    try (SequencePages sequence = cache.sequence(other, PrefixVariant.FULL)) {
      assertThat(sequence.length()).isEqualTo(PAGE_TOKENS);
    }
    other[0]++;
    try (SequencePages sequence = cache.sequence(other, PrefixVariant.FULL)) {
      assertThat(sequence.length()).isZero();
    }
  }

  @Test
  void tokensAreComparedNotOnlyTheirHash() {
    int[] prompt = new int[PAGE_TOKENS + 1];
    int[] colliding = prompt.clone();
    prompt[0] = 1;
    colliding[1] = 31;
    assertThat(Arrays.hashCode(Arrays.copyOf(prompt, PAGE_TOKENS))).isEqualTo(Arrays.hashCode(Arrays.copyOf(colliding, PAGE_TOKENS)));
    compute(prompt, PrefixVariant.FULL);
    try (SequencePages sequence = cache.sequence(colliding, PrefixVariant.FULL)) {
      assertThat(sequence.length()).isZero();
    }
  }

  @Test
  void anotherWindowSharesNothing() {
    int[] prompt = tokens(2 * PAGE_TOKENS, 0);
    compute(prompt, new PrefixVariant(100, 4));
    try (SequencePages full = cache.sequence(prompt, PrefixVariant.FULL);
        SequencePages same = cache.sequence(prompt, new PrefixVariant(100, 4))) {
      assertThat(full.length()).isZero();
      assertThat(same.length()).isEqualTo(PAGE_TOKENS);
    }
  }

  @Test
  void oneTokenAlwaysRemainsToBeComputed() {
    int[] prompt = tokens(2 * PAGE_TOKENS, 0);
    compute(prompt, PrefixVariant.FULL);
    try (SequencePages sequence = cache.sequence(prompt, PrefixVariant.FULL)) {
      assertThat(sequence.length()).isEqualTo(PAGE_TOKENS);
    }
    try (SequencePages none = cache.sequence(new int[0], PrefixVariant.FULL)) {
      assertThat(none.length()).isZero();
    }
  }

  @Test
  void theLeastRecentlyUsedPrefixGoesFirstAndItsEndBeforeItsBeginning() {
    int[] old = tokens(3 * PAGE_TOKENS + 1, 1);
    int[] recent = tokens(3 * PAGE_TOKENS + 1, 2);
    compute(recent, PrefixVariant.FULL);
    compute(old, PrefixVariant.FULL);
    cache.sequence(recent, PrefixVariant.FULL).close();
    SequencePages hungry = cache.sequence();
    hungry.reserve((PAGES - 6 + 2) * PAGE_TOKENS);
    assertThat(lengthOf(old)).isEqualTo(PAGE_TOKENS);
    assertThat(lengthOf(recent)).isEqualTo(3 * PAGE_TOKENS);
    cache.sequence(recent, PrefixVariant.FULL).close();
    hungry.reserve(PAGE_TOKENS);
    assertThat(lengthOf(old)).isZero();
    assertThat(lengthOf(recent)).isEqualTo(3 * PAGE_TOKENS);
    hungry.reserve(3 * PAGE_TOKENS);
    assertThat(lengthOf(recent)).isZero();
    assertThat(cache.stats().availablePages()).isZero();
    hungry.close();
  }

  @Test
  void pagesThatASequenceHoldsAreNotTakenForAnother() {
    int[] prompt = tokens(3 * PAGE_TOKENS + 1, 0);
    compute(prompt, PrefixVariant.FULL);
    SequencePages reader = cache.sequence(prompt, PrefixVariant.FULL);
    SequencePages hungry = cache.sequence();
    hungry.reserve((PAGES - 3) * PAGE_TOKENS);
    assertThatThrownBy(() -> hungry.reserve(1)).isInstanceOf(CacheFullException.class);
    assertThat(reader.pageTable()).doesNotContain(hungry.pageTable());
    reader.close();
    hungry.reserve(1);
    hungry.close();
  }

  @Test
  void aPageThatLeftTheWindowOfItsReaderMayGoWithWhatDependsOnIt() {
    int[] prompt = tokens(4 * PAGE_TOKENS + 1, 0);
    compute(prompt, PrefixVariant.FULL);
    SequencePages reader = cache.sequence(prompt, PrefixVariant.FULL);
    reader.evictBefore(2 * PAGE_TOKENS, 0);
    assertThat(cache.stats().idlePages()).isEqualTo(2);
    SequencePages hungry = cache.sequence();
    hungry.reserve((PAGES - 2) * PAGE_TOKENS);
    cache.checkIntegrity();
    assertThat(lengthOf(prompt)).isZero();
    assertThat(reader.heldPages()).isEqualTo(2);
    reader.close();
    hungry.close();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES);
  }

  @Test
  void twoSequencesWithTheSamePromptKeepOneCopy() {
    int[] prompt = tokens(2 * PAGE_TOKENS + 1, 0);
    SequencePages first = cache.sequence(prompt, PrefixVariant.FULL);
    SequencePages second = cache.sequence(prompt, PrefixVariant.FULL);
    first.reserve(prompt.length);
    second.reserve(prompt.length);
    cache.remember(first, prompt, prompt.length, PrefixVariant.FULL);
    cache.remember(second, prompt, prompt.length, PrefixVariant.FULL);
    cache.remember(second, prompt, prompt.length, PrefixVariant.FULL);
    cache.checkIntegrity();
    first.close();
    second.close();
    assertThat(cache.stats().idlePages()).isEqualTo(2);
    cache.forgetPrefixes();
    assertThat(cache.stats().freePages()).isEqualTo(PAGES);
  }

  @Test
  void reuseCanBeSwitchedOff() {
    try (KvCache plain = new KvCache(pages.backend(), pages.spec(), KvCache.Options.defaults().withPrefixReuse(false))) {
      int[] prompt = tokens(2 * PAGE_TOKENS, 0);
      SequencePages sequence = plain.sequence(prompt, PrefixVariant.FULL);
      sequence.reserve(prompt.length);
      plain.remember(sequence, prompt, prompt.length, PrefixVariant.FULL);
      sequence.close();
      assertThat(plain.stats().freePages()).isEqualTo(PAGES);
    }
  }

  @Test
  void poisonsPagesBeforeTheyAreUsed() {
    try (KvCache poisoning = new KvCache(pages.backend(), pages.spec(), KvCache.Options.defaults().withPoison(true))) {
      SequencePages sequence = poisoning.sequence();
      sequence.reserve(2 * PAGE_TOKENS);
      assertThat(pages.poisoned).containsExactly(sequence.pageTable()[0], sequence.pageTable()[1]);
      sequence.reserve(0);
      assertThat(pages.poisoned).hasSize(2);
      sequence.close();
    }
  }

  @Test
  void refusesWhatContradictsASequence() {
    SequencePages sequence = cache.sequence();
    sequence.reserve(5);
    int[] five = tokens(5, 0);
    assertThatIllegalArgumentException().isThrownBy(() -> cache.remember(sequence, five, 6, PrefixVariant.FULL));
    assertThatIllegalArgumentException().isThrownBy(() -> cache.remember(sequence, tokens(6, 0), 6, PrefixVariant.FULL));
    assertThatIllegalArgumentException().isThrownBy(() -> sequence.reserve(-1));
    assertThatIllegalArgumentException().isThrownBy(() -> sequence.fork(6));
    sequence.close();
    assertThatIllegalStateException().isThrownBy(() -> sequence.reserve(1));
    assertThatIllegalStateException().isThrownBy(sequence::pageTable);
    assertThatIllegalStateException().isThrownBy(() -> cache.remember(sequence, five, 0, PrefixVariant.FULL));
  }

  @Test
  void aClosedCacheRefusesWorkAndToleratesLateSequences() {
    SequencePages sequence = cache.sequence();
    sequence.reserve(1);
    cache.close();
    cache.close();
    assertThat(pages.closed).isTrue();
    assertThatIllegalStateException().isThrownBy(() -> sequence.reserve(PAGE_TOKENS));
    assertThatIllegalStateException().isThrownBy(cache::sequence);
    sequence.close();
  }

  /** A control for {@link KvCache#checkIntegrity}: it must see what it is there for. */
  @Test
  void integrityCheckFindsWrongCounts() {
    PagePool pool = new PagePool(3);
    int page = pool.take();
    int[] expected = new int[3];
    expected[page] = 1;
    pool.check(expected);
    pool.retain(page);
    assertThatIllegalStateException().isThrownBy(() -> pool.check(expected)).withMessageContaining("counts 2 references");
    pool.release(page);
    pool.release(page);
    assertThatIllegalStateException().isThrownBy(() -> pool.release(page)).withMessageContaining("twice");
    assertThatIllegalStateException().isThrownBy(() -> pool.retain(page)).withMessageContaining("free");
  }

  /** Runs a prompt without arithmetic: reserves its slots, remembers them, ends. */
  private int[] compute(int[] prompt, PrefixVariant variant) {
    try (SequencePages sequence = cache.sequence(prompt, variant)) {
      sequence.reserve(prompt.length - sequence.length());
      cache.remember(sequence, prompt, prompt.length, variant);
      return sequence.pageTable();
    }
  }

  /** Reads the cache without changing which prefix was used last more than the assertion needs. */
  private int lengthOf(int[] prompt) {
    try (SequencePages sequence = cache.sequence(prompt, PrefixVariant.FULL)) {
      return sequence.length();
    }
  }

  private static int[] tokens(int count, int salt) {
    int[] tokens = new int[count];
    for (int i = 0; i < count; i++) {
      tokens[i] = i * 7 + salt * 1000;
    }
    return tokens;
  }
}
