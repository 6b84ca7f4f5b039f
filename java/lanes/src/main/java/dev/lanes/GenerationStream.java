package dev.lanes;

import java.util.Iterator;

/**
 * A generation in progress, piece by piece. It runs whether or not the pieces are taken; {@link #close()} cancels it. For use by one
 * consumer; {@link #cancel()}, {@link #close()} and {@link #result()} may be called from any thread.
 */
public interface GenerationStream extends Iterator<Piece>, Iterable<Piece>, AutoCloseable {

  /**
   * Waits for the next piece. False at the end; then {@link #result()} does not wait.
   *
   * @throws dev.lanes.error.LanesException if the generation failed
   */
  @Override
  boolean hasNext();

  /**
   * The next piece.
   *
   * @throws java.util.NoSuchElementException at the end
   */
  @Override
  Piece next();

  /** This stream itself: its pieces can be taken once. */
  @Override
  default Iterator<Piece> iterator() {
    return this;
  }

  /** Stops the generation within a step. Pieces that were made before can still be taken. Cancelling twice, or too late, does nothing. */
  void cancel();

  /**
   * Waits for the end and returns the whole generation, pieces already taken included.
   *
   * @throws dev.lanes.error.LanesException if the generation failed
   */
  Generation result();

  /** Cancels the generation if it still runs. */
  @Override
  void close();
}
