/**
 * The engine: one thread a model that puts all requests into one ragged batch a step (continuous batching with chunked prefill; Yu et
 * al. 2022, Agrawal et al. 2023), samples, and hands out tokens and text.
 */
package dev.lanes.engine;
