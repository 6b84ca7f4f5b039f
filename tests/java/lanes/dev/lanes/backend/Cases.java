package dev.lanes.backend;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Shapes as data, shared with the C++ tests: {@code tests/cases/<op>.tsv}. Lines that begin with # are comments; the first other line
 * names the columns.
 */
final class Cases {
  /** One line. */
  record Case(String file, int line, Map<String, String> values) {
    String text(String column) {
      String value = values.get(column);
      if (value == null) {
        throw new IllegalArgumentException(this + ": no column " + column);
      }
      return value;
    }

    int number(String column) {
      return Integer.parseInt(text(column));
    }

    /** The column {@code dtype}: one type, or {@code all} of floats. */
    List<DType> dtypes() {
      String name = text("dtype");
      return name.equals("all") ? TestBackends.FLOATS : List.of(DType.valueOf(name.toUpperCase(Locale.ROOT)));
    }

    @Override
    public String toString() {
      return file + ":" + line + " " + values;
    }
  }

  private Cases() {}

  static List<Case> read(String op) {
    Path file = Path.of(System.getProperty("lanes.root"), "tests", "cases", op + ".tsv");
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    List<Case> cases = new ArrayList<>();
    String[] columns = null;
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).isBlank() || lines.get(i).startsWith("#")) {
        continue;
      }
      String[] cells = lines.get(i).split("\t", -1);
      if (columns == null) {
        columns = cells;
        continue;
      }
      if (cells.length != columns.length) {
        throw new IllegalStateException(file + ":" + (i + 1) + ": " + cells.length + " cells for " + columns.length + " columns");
      }
      Map<String, String> values = new LinkedHashMap<>();
      for (int c = 0; c < columns.length; c++) {
        values.put(columns[c], cells[c]);
      }
      cases.add(new Case(op + ".tsv", i + 1, values));
    }
    if (cases.isEmpty()) {
      throw new IllegalStateException(file + " has no cases");
    }
    return cases;
  }
}
