package dev.lanes.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** Where the command writes: results to {@code out}, remarks to {@code err}; both UTF-8 in any locale. */
record Console(PrintStream out, PrintStream err) {
  private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  static Console ofProcess() {
    return new Console(stream(FileDescriptor.out), stream(FileDescriptor.err));
  }

  private static PrintStream stream(FileDescriptor descriptor) {
    return new PrintStream(new FileOutputStream(descriptor), true, StandardCharsets.UTF_8);
  }

  /** Whether a person is likely to watch stderr. */
  static boolean isInteractive() {
    return System.console() != null && !"dumb".equals(System.getenv("TERM"));
  }

  void json(Object value) {
    try {
      out.println(JSON.writeValueAsString(value));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Prints a part of a line at once. Throws when nobody can read it any more, so that a closed pipe ends what makes the text. */
  void part(String text) {
    out.print(text);
    requireWritable();
  }

  /** @throws UncheckedIOException if something printed to {@code out} did not get through: a closed pipe, a full disk */
  void requireWritable() {
    if (out.checkError()) {
      String message = "cannot write to standard output";
      throw new UncheckedIOException(message, new IOException(message));
    }
  }

  void remark(String format, Object... arguments) {
    err.println(String.format(Locale.ROOT, format, arguments));
  }

  void line(String format, Object... arguments) {
    out.println(String.format(Locale.ROOT, format, arguments));
  }

  /** Bytes as a person reads them: {@code 1.5 GiB}. */
  static String bytes(long count) {
    if (count < 1024) {
      return count + " B";
    }
    String[] units = {"KiB", "MiB", "GiB", "TiB"};
    double value = count / 1024.0;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, value < 10 ? "%.2f %s" : "%.1f %s", value, units[unit]);
  }
}
