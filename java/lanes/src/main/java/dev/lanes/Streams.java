package dev.lanes;

import java.util.function.Consumer;

/** Helpers for {@link GenerationStream}. */
final class Streams {
  private Streams() {}

  /** Feeds all pieces to the consumer; whatever it throws cancels the stream. */
  static Generation drain(GenerationStream stream, Consumer<? super Piece> consumer) {
    try (stream) {
      while (stream.hasNext()) {
        consumer.accept(stream.next());
      }
      return stream.result();
    }
  }
}
