package dev.lanes.engine;

import dev.lanes.cache.CacheStats;

/**
 * What an engine is doing and has done.
 *
 * @param running sequences that hold pages
 * @param waiting sequences in the queue
 * @param steps steps made
 * @param preemptions sequences that gave their pages to an earlier one and were computed again
 * @param cache the pages
 */
public record EngineStats(int running, int waiting, long steps, long preemptions, CacheStats cache) {}
