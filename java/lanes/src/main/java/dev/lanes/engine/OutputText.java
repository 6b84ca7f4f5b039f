package dev.lanes.engine;

import dev.lanes.token.IncrementalDecoder;
import java.util.List;

/**
 * The text of a generation as it grows. Text is held back while it could still become a stop string. A stop string is found where it
 * is first complete; of two that are complete at the same character, the longer one counts. So the result does not depend on how
 * tokens cut the text.
 */
final class OutputText {
  private final IncrementalDecoder decoder;
  private final List<String> stops;
  private final StringBuilder pending = new StringBuilder();
  private String stopText;

  /** @param decoder null gives no text at all */
  OutputText(IncrementalDecoder decoder, List<String> stops) {
    this.decoder = decoder;
    this.stops = stops;
  }

  /** Takes a token and returns the text that is final now. */
  String append(int id) {
    return decoder == null ? "" : take(decoder.append(id));
  }

  /** The rest of the text; a stop string may be found in it. */
  String finish() {
    if (decoder == null || stopText != null) {
      return "";
    }
    String last = take(decoder.flush());
    if (stopText != null) {
      return last;
    }
    last += pending;
    pending.setLength(0);
    return last;
  }

  /** The stop string that was found, or null. */
  String stopText() {
    return stopText;
  }

  private String take(String text) {
    int from = pending.length();
    pending.append(text);
    for (int end = from + 1; end <= pending.length() && !stops.isEmpty(); end++) {
      String stop = longestEndingAt(end);
      if (stop != null) {
        stopText = stop;
        String before = pending.substring(0, end - stop.length());
        pending.setLength(0);
        return before;
      }
    }
    int held = heldBack();
    String ready = pending.substring(0, pending.length() - held);
    pending.delete(0, pending.length() - held);
    return ready;
  }

  private String longestEndingAt(int end) {
    String longest = null;
    for (String stop : stops) {
      int begin = end - stop.length();
      if (begin >= 0 && (longest == null || stop.length() > longest.length()) && matches(stop, begin, stop.length())) {
        longest = stop;
      }
    }
    return longest;
  }

  /** Length of the longest end of the pending text that a stop string begins with. */
  private int heldBack() {
    int held = 0;
    for (String stop : stops) {
      for (int length = Math.min(stop.length() - 1, pending.length()); length > held; length--) {
        if (matches(stop, pending.length() - length, length)) {
          held = length;
        }
      }
    }
    return held;
  }

  private boolean matches(String stop, int begin, int length) {
    for (int i = 0; i < length; i++) {
      if (pending.charAt(begin + i) != stop.charAt(i)) {
        return false;
      }
    }
    return true;
  }
}
