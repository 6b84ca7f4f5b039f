package dev.lanes.quantize;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Where the logits of windows come from, chunk by chunk. */
interface LogitSource {
  int vocabulary();

  /** Begins a window. */
  void start(int[] window);

  /** [count * vocabulary]: logits of the window's next tokens. */
  float[] next(int count);

  /** Keeps the logits of windows that are asked for again and again, as far as {@code maxFloats} of them go. */
  static LogitSource remembering(LogitSource source, long maxFloats) {
    Map<int[], List<float[]>> known = new HashMap<>();
    return new LogitSource() {
      private List<float[]> chunks;
      private int chunk;
      private boolean complete;
      private long floats;

      @Override
      public int vocabulary() {
        return source.vocabulary();
      }

      @Override
      public void start(int[] window) {
        chunk = 0;
        complete = known.containsKey(window);
        chunks = complete ? known.get(window) : new ArrayList<>();
        if (!complete) {
          source.start(window);
          long needed = (long) window.length * source.vocabulary();
          if (floats + needed <= maxFloats) {
            floats += needed;
            known.put(window, chunks);
          } else {
            chunks = null;
          }
        }
      }

      @Override
      public float[] next(int count) {
        if (complete) {
          return chunks.get(chunk++);
        }
        float[] logits = source.next(count);
        if (chunks != null) {
          chunks.add(logits);
        }
        return logits;
      }
    };
  }
}
