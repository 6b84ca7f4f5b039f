package dev.lanes.engine;

import dev.lanes.backend.Backend;
import dev.lanes.backend.ProfiledBackend;
import dev.lanes.cache.KvCache;
import dev.lanes.error.DeviceFailedException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Runs requests of any number of threads through one model: a thread of its own puts them into one ragged batch a step. Requests fail
 * by themselves; when a step as a whole fails, those that took part in it do; when the device fails, all do, and the engine takes no more
 * requests. Does not own model and cache.
 */
public final class Engine implements AutoCloseable {
  private static final AtomicInteger NUMBER = new AtomicInteger();
  /** In the inbox: nothing but a reason to look around. */
  private static final Object WAKE = new Object();

  private enum State {
    OPEN,
    CLOSED,
    FAILED
  }

  private final EngineConfig config;
  private final Backend backend;
  private final KvCache cache;
  private final Scheduler scheduler;
  private final StepRunner runner;
  private final LinkedBlockingQueue<Object> inbox = new LinkedBlockingQueue<>();
  /** Null when nobody asked where the time goes. */
  private final StepProfiler profiler;
  private final Thread thread;
  private final Object lock = new Object();
  private State state = State.OPEN;
  private Throwable failure;
  private long arrivals;
  private volatile long steps;

  /**
   * Starts the engine's thread.
   *
   * @param backend samples; steps are profiled when it is a {@link ProfiledBackend}
   * @param model computes steps
   */
  public Engine(EngineConfig config, Backend backend, StepFunction model, KvCache cache) {
    this.config = config;
    this.backend = backend;
    this.cache = cache;
    scheduler = new Scheduler(cache, config);
    runner = new StepRunner(model, cache, backend);
    profiler = backend instanceof ProfiledBackend profiled ? new StepProfiler(profiled) : null;
    thread = new Thread(this::run, "lanes-engine-" + NUMBER.incrementAndGet());
    thread.setDaemon(true);
    thread.start();
  }

  /** A request under way. */
  @FunctionalInterface
  public interface Ticket {
    /** Ends the request within a step. Does nothing when it has ended. */
    void cancel();
  }

  /**
   * Queues a generation.
   *
   * @throws dev.lanes.error.InsufficientMemoryException if the cache could never hold it
   * @throws DeviceFailedException if the device that the model runs on has failed
   * @throws IllegalStateException if the engine is closed
   */
  public Ticket generate(GenerationRequest request, GenerationListener listener) {
    synchronized (lock) {
      requireOpen();
      GenerationSequence sequence = new GenerationSequence(arrivals++, request, listener, config.modelWindow(), this::peakNativeBytes);
      if (sequence.endIfNothingToDo()) {
        return () -> {};
      }
      return enqueue(sequence);
    }
  }

  /**
   * Queues a request for logits or hidden states. The future completes on the engine's thread, with a CancellationException when the
   * engine is closed before.
   *
   * @throws dev.lanes.error.InsufficientMemoryException if the cache could never hold it
   * @throws DeviceFailedException if the device that the model runs on has failed
   * @throws IllegalStateException if the engine is closed
   */
  public CompletableFuture<Void> forward(ForwardRequest request) {
    synchronized (lock) {
      requireOpen();
      ForwardSequence sequence = new ForwardSequence(arrivals++, request, config.modelWindow());
      enqueue(sequence);
      return sequence.done();
    }
  }

  /** Whoever has ended is told so, whatever has become of the device meanwhile. */
  private long peakNativeBytes() {
    try {
      return backend.memory().peakTotal();
    } catch (DeviceFailedException e) {
      return 0;
    }
  }

  private Ticket enqueue(Sequence sequence) {
    scheduler.requireCanFit(sequence);
    inbox.add(sequence);
    return () -> {
      sequence.cancel();
      inbox.add(WAKE);
    };
  }

  private void requireOpen() {
    if (state == State.FAILED) {
      throw Failures.stopped(failure);
    }
    if (state == State.CLOSED) {
      throw new IllegalStateException("the model is closed");
    }
  }

  public EngineStats stats() {
    return new EngineStats(scheduler.runningCount(), scheduler.waitingCount() + inbox.size(), steps, scheduler.preemptions(),
        cache.stats());
  }

  /** Where the time of steps went since the start or the last {@link #resetProfile}; empty when the backend is not profiled. */
  public Optional<ModelProfile> profile() {
    return Optional.ofNullable(profiler).map(StepProfiler::profile);
  }

  /** Forgets the steps so far. */
  public void resetProfile() {
    if (profiler != null) {
      profiler.reset();
    }
  }

  /** Cancels everything and waits until the engine's thread has ended. Closing twice does nothing. */
  @Override
  public void close() {
    synchronized (lock) {
      if (state == State.OPEN) {
        state = State.CLOSED;
      }
      inbox.add(WAKE);
    }
    boolean interrupted = false;
    while (thread.isAlive() && Thread.currentThread() != thread) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try {
      while (receive()) {
        scheduler.dropCancelled();
        if (!scheduler.isIdle()) {
          step(scheduler.plan());
          if (config.check()) {
            cache.checkIntegrity();
          }
        }
      }
    } catch (Throwable t) {
      synchronized (lock) {
        state = State.FAILED;
        failure = t;
      }
    } finally {
      // Nothing is added to the inbox any more.
      while (!inbox.isEmpty()) {
        if (inbox.poll() instanceof Sequence sequence) {
          scheduler.add(sequence);
        }
      }
      scheduler.dropAll(failure == null ? Sequence::tellCancelled : sequence -> sequence.tellFailed(Failures.stopped(failure)));
    }
  }

  /** Takes new requests from the inbox, waits for one when there is nothing to do. False when the engine is to end. */
  private boolean receive() throws InterruptedException {
    boolean idle = scheduler.isIdle();
    Object message = idle ? inbox.take() : inbox.poll();
    if (idle && profiler != null) {
      profiler.begin();
    }
    while (message != null) {
      if (message instanceof Sequence sequence) {
        scheduler.add(sequence);
      }
      message = inbox.poll();
    }
    synchronized (lock) {
      return state == State.OPEN;
    }
  }

  private void step(List<Slice> slices) {
    if (profiler == null) {
      makeStep(slices);
      return;
    }
    profiler.enter();
    try {
      makeStep(slices);
    } finally {
      profiler.end(slices);
    }
  }

  private void makeStep(List<Slice> slices) {
    try {
      for (Sequence ended : runner.run(slices)) {
        scheduler.remove(ended);
        ended.tellEnded();
      }
    } catch (DeviceFailedException e) {
      // Nothing will run there any more: the engine ends.
      throw e;
    } catch (Throwable t) {
      // Nobody can say whose fault it was: all that took part fail, the others go on.
      for (Slice slice : slices) {
        scheduler.remove(slice.sequence());
        slice.sequence().tellFailed(Failures.of(t));
      }
    }
    steps++;
  }
}
