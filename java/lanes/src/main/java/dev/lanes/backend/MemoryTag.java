package dev.lanes.backend;

/** What a backend's memory is for; live bytes are counted for each. */
public enum MemoryTag {
  WEIGHTS,
  KV,
  SCRATCH,
  OTHER
}
