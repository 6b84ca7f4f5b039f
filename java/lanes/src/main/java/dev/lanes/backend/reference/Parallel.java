package dev.lanes.backend.reference;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Splits loops by output over a fixed number of threads; every output is computed whole by one of them. */
final class Parallel implements AutoCloseable {
  /** A part of the outputs. */
  interface Range {
    void run(int begin, int end);
  }

  private final int threads;
  private final ExecutorService executor;

  Parallel(int threads) {
    this.threads = threads;
    this.executor = threads == 1 ? null : Executors.newFixedThreadPool(threads - 1, task -> {
      Thread thread = new Thread(task, "lanes-reference");
      thread.setDaemon(true);
      return thread;
    });
  }

  int threads() {
    return threads;
  }

  /** @param work multiply-adds in all; little work stays on the caller's thread */
  void run(int outputs, long work, Range body) {
    int parts = work < 100_000 ? 1 : Math.min(threads, outputs);
    List<Future<?>> others = new ArrayList<>();
    for (int p = 1; p < parts; p++) {
      int begin = (int) ((long) outputs * p / parts);
      int end = (int) ((long) outputs * (p + 1) / parts);
      others.add(executor.submit(() -> body.run(begin, end)));
    }
    body.run(0, parts <= 1 ? outputs : (int) ((long) outputs / parts));
    for (Future<?> other : others) {
      join(other);
    }
  }

  private static void join(Future<?> part) {
    boolean interrupted = false;
    while (true) {
      try {
        part.get();
        break;
      } catch (InterruptedException e) {
        // The op's outputs are being written: it must end before the caller goes on.
        interrupted = true;
      } catch (ExecutionException e) {
        throw new IllegalStateException("a part of an op failed", e.getCause());
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    if (executor != null) {
      executor.shutdown();
    }
  }
}
