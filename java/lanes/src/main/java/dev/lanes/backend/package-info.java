/** Backends: tensors, packed weights, KV pages and the ops on them; the native CPU backend and a pure-Java reference. */
package dev.lanes.backend;
