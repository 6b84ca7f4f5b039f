/** KV pages: the pool with its reference counts, page tables of sequences, reuse of prompt prefixes, eviction. */
package dev.lanes.cache;
