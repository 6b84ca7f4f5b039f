package dev.lanes.cache;

import dev.lanes.backend.KvPages;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/**
 * Full pages by the tokens they hold and all tokens before them: a trie whose edges are pages of token ids, compared id by id.
 * Holds one reference to each of its pages. Not synchronised; {@link KvCache} is.
 */
final class PrefixCache {
  private final PagePool pool;
  private final Map<PrefixVariant, Node> roots = new HashMap<>();
  /** Least recently used first; a node stands behind all nodes below it, so that leaves go first. */
  private final LinkedHashSet<Node> recency = new LinkedHashSet<>();

  PrefixCache(PagePool pool) {
    this.pool = pool;
  }

  /** Pages of the longest known prefix of the first {@code limit} tokens, whole pages only; the caller adds references. */
  int[] find(int[] tokens, int limit, PrefixVariant variant) {
    Node node = roots.get(variant);
    List<Node> path = new ArrayList<>();
    for (int begin = 0; node != null && begin + KvPages.PAGE_TOKENS <= limit; begin += KvPages.PAGE_TOKENS) {
      node = node.children.get(TokenBlock.of(tokens, begin));
      if (node != null) {
        path.add(node);
      }
    }
    touch(path);
    return path.stream().mapToInt(n -> n.page).toArray();
  }

  /** Keeps the pages of {@code table} that the first {@code count} tokens fill; stops where a page is no longer held. */
  void insert(int[] tokens, int count, int[] table, PrefixVariant variant) {
    Node node = roots.computeIfAbsent(variant, v -> new Node(null, null, -1));
    List<Node> path = new ArrayList<>();
    for (int i = 0; (i + 1) * KvPages.PAGE_TOKENS <= count && table[i] >= 0; i++) {
      TokenBlock block = TokenBlock.of(tokens, i * KvPages.PAGE_TOKENS);
      Node child = node.children.get(block);
      if (child == null) {
        if (pool.isCached(table[i])) {
          throw new IllegalStateException("page " + table[i] + " is kept for other tokens");
        }
        pool.cache(table[i]);
        child = new Node(node, block, table[i]);
        node.children.put(block, child);
      }
      path.add(child);
      node = child;
    }
    touch(path);
  }

  /** Gives back the least recently used pages that no sequence holds, until the pool has {@code wanted} free ones or none is left. */
  void makeFree(int wanted) {
    while (pool.free() < wanted && pool.idle() > 0) {
      Node eldest = null;
      for (Iterator<Node> i = recency.iterator(); eldest == null; ) {
        Node node = i.next();
        eldest = pool.references(node.page) == 1 ? node : null;
      }
      remove(eldest);
    }
  }

  void clear() {
    for (Node node : List.copyOf(recency)) {
      pool.uncache(node.page);
    }
    recency.clear();
    roots.clear();
  }

  void countReferences(int[] counts) {
    for (Node node : recency) {
      counts[node.page]++;
    }
  }

  private void touch(List<Node> path) {
    for (int i = path.size() - 1; i >= 0; i--) {
      recency.remove(path.get(i));
      recency.add(path.get(i));
    }
  }

  /** What lies below can no longer be found and goes too. */
  private void remove(Node node) {
    node.parent.children.remove(node.block);
    List<Node> pending = new ArrayList<>(List.of(node));
    while (!pending.isEmpty()) {
      Node next = pending.remove(pending.size() - 1);
      recency.remove(next);
      pool.uncache(next.page);
      pending.addAll(next.children.values());
    }
  }

  /** Identity is its place in the trie. */
  private static final class Node {
    final Node parent;
    final TokenBlock block;
    final int page;
    final Map<TokenBlock, Node> children = new HashMap<>();

    Node(Node parent, TokenBlock block, int page) {
      this.parent = parent;
      this.block = block;
      this.page = page;
    }
  }

  /** The ids of one page; comparable, so that prompts made to collide cost a tree walk and not a list walk. */
  private record TokenBlock(int[] ids, int hash) implements Comparable<TokenBlock> {
    static TokenBlock of(int[] tokens, int begin) {
      int[] ids = Arrays.copyOfRange(tokens, begin, begin + KvPages.PAGE_TOKENS);
      return new TokenBlock(ids, Arrays.hashCode(ids));
    }

    @Override
    public int compareTo(TokenBlock other) {
      return Arrays.compare(ids, other.ids);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof TokenBlock block && hash == block.hash && Arrays.equals(ids, block.ids);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }
}
