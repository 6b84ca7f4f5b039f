package dev.lanes.backend;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/** How much memory this process may still take: what the machine has free, and what its control group (container) leaves. */
public final class SystemMemory {
  private final Path proc;
  private final Path cgroups;

  SystemMemory(Path proc, Path cgroups) {
    this.proc = proc;
    this.cgroups = cgroups;
  }

  /** Bytes that can be allocated without pushing anything out; {@code Long.MAX_VALUE} where the system does not say. */
  public static long availableBytes() {
    return new SystemMemory(Path.of("/proc"), Path.of("/sys/fs/cgroup")).available();
  }

  long available() {
    long free = field(proc.resolve("meminfo"), "MemAvailable:").orElse(Long.MAX_VALUE >> 10);
    return Math.min(free << 10, Math.min(groupV2(), groupV1()));
  }

  /** Every group up to the root may have a limit; the page cache of a group counts as used but can be dropped. */
  private long groupV2() {
    long least = Long.MAX_VALUE;
    for (Path group = groupDirectory("0::", cgroups); group != null && group.startsWith(cgroups); group = group.getParent()) {
      OptionalLong limit = number(group.resolve("memory.max"));
      OptionalLong used = number(group.resolve("memory.current"));
      if (limit.isPresent() && used.isPresent()) {
        long droppable = field(group.resolve("memory.stat"), "inactive_file").orElse(0);
        least = Math.min(least, Math.max(0, limit.getAsLong() - used.getAsLong() + droppable));
      }
    }
    return least;
  }

  private long groupV1() {
    Path root = cgroups.resolve("memory");
    long least = Long.MAX_VALUE;
    for (Path group = groupDirectory(":memory:", root); group != null && group.startsWith(root); group = group.getParent()) {
      OptionalLong limit = number(group.resolve("memory.limit_in_bytes"));
      OptionalLong used = number(group.resolve("memory.usage_in_bytes"));
      if (limit.isPresent() && used.isPresent()) {
        long droppable = field(group.resolve("memory.stat"), "total_inactive_file").orElse(0);
        least = Math.min(least, Math.max(0, limit.getAsLong() - used.getAsLong() + droppable));
      }
    }
    return least;
  }

  /** The directory of this process's group; inside a container the path may not exist, the root then is the group. */
  private Path groupDirectory(String marker, Path root) {
    for (String line : lines(proc.resolve("self/cgroup"))) {
      int at = line.indexOf(marker);
      if (at >= 0) {
        Path group = root.resolve(line.substring(at + marker.length()).replaceFirst("^/+", "")).normalize();
        return group.startsWith(root) && Files.isDirectory(group) ? group : root;
      }
    }
    return root;
  }

  private static OptionalLong number(Path file) {
    for (String line : lines(file)) {
      if (line.matches("\\d{1,18}")) {
        return OptionalLong.of(Long.parseLong(line));
      }
    }
    return OptionalLong.empty();
  }

  private static OptionalLong field(Path file, String name) {
    for (String line : lines(file)) {
      String[] words = line.trim().split("\\s+");
      if (words.length >= 2 && words[0].equals(name) && words[1].matches("\\d{1,18}")) {
        return OptionalLong.of(Long.parseLong(words[1]));
      }
    }
    return OptionalLong.empty();
  }

  private static Iterable<String> lines(Path file) {
    try {
      return Files.isReadable(file) ? Files.readAllLines(file) : List.of();
    } catch (IOException e) {
      return List.of();
    }
  }
}
