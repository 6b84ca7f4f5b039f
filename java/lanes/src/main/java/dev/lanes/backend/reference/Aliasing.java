package dev.lanes.backend.reference;

/** The rules on outputs that share memory with inputs, as the native kernels have them. */
final class Aliasing {
  private Aliasing() {}

  /** That an output shares nothing with another argument; null outputs and arguments share nothing. */
  static void disjoint(String op, String outName, ReferenceTensor out, String name, ReferenceTensor other) {
    if (out != null && other != null && overlap(out, other)) {
      throw new IllegalArgumentException(op + ": " + outName + " and " + name + " overlap");
    }
  }

  /** That an output is the other argument itself, or shares nothing with it. */
  static void disjointOrSame(String op, String outName, ReferenceTensor out, String name, ReferenceTensor other) {
    if (out == null || other == null || (out.sharesStorage(other) && out.row(0) == other.row(0)
        && (out.stride() == other.stride() || out.rows() <= 1))) {
      return;
    }
    if (overlap(out, other)) {
      throw new IllegalArgumentException(op + ": " + outName + " and " + name + " overlap without being the same");
    }
  }

  private static boolean overlap(ReferenceTensor a, ReferenceTensor b) {
    if (!a.sharesStorage(b) || a.rows() == 0 || b.rows() == 0 || a.columns() == 0 || b.columns() == 0) {
      return false;
    }
    // All views of one tensor have its stride, so their rows are parts of its rows: two rectangles.
    int stride = a.stride();
    int aRow = a.row(0) / stride;
    int bRow = b.row(0) / stride;
    int aColumn = a.row(0) % stride;
    int bColumn = b.row(0) % stride;
    return aRow < bRow + b.rows() && bRow < aRow + a.rows() && aColumn < bColumn + b.columns() && bColumn < aColumn + a.columns();
  }
}
