package dev.lanes.backend;

import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;

/**
 * The checks that every {@link Backend} makes of an op before it touches memory. What is wrong is thrown as
 * {@link IllegalArgumentException} with the op, the argument, its value and what was expected; a missing argument as
 * {@link NullPointerException}.
 */
public final class OpChecks {
  /** The largest dimension of an attention head. */
  public static final int MAX_HEAD_DIM = 512;

  private OpChecks() {}

  public static void tensor(MemoryTag tag, int rows, int columns, DType dtype) {
    Objects.requireNonNull(dtype, "tensor: dtype");
    if (dtype != DType.F32 && dtype != DType.BF16) {
      throw invalid("tensor: element type %s: expected F32 or BF16", dtype);
    }
    tensor(tag, rows, columns);
  }

  public static void tensor(MemoryTag tag, int rows, int columns) {
    Objects.requireNonNull(tag, "tensor: tag");
    if (!(rows >= 0 && columns >= 1)) {
      throw invalid("tensor: shape [%d, %d]: expected at least 0 rows and 1 column", rows, columns);
    }
  }

  public static void weight(int rows, int columns, DType dtype) {
    Objects.requireNonNull(dtype, "weight: dtype");
    if (!(rows >= 1 && columns >= 1)) {
      throw invalid("weight: shape [%d, %d]: expected at least 1 row and 1 column", rows, columns);
    }
  }

  public static void pages(KvPages.Spec spec) {
    Objects.requireNonNull(spec, "kvPages: spec");
    Objects.requireNonNull(spec.dtype(), "kvPages: dtype");
    if (spec.pages() < 1) {
      throw invalid("kvPages: %d pages: expected at least 1", spec.pages());
    }
    if (spec.layers() < 1) {
      throw invalid("kvPages: %d layers: expected at least 1", spec.layers());
    }
    if (spec.kvHeads() < 1) {
      throw invalid("kvPages: %d kv heads: expected at least 1", spec.kvHeads());
    }
    if (!(spec.headDim() >= 1 && spec.headDim() <= MAX_HEAD_DIM)) {
      throw invalid("kvPages: head dimension %d: expected 1 to %d", spec.headDim(), MAX_HEAD_DIM);
    }
  }

  public static void part(PackedWeight weight, PackedWeight.Part part) {
    Objects.requireNonNull(part, "pack: part");
    Objects.requireNonNull(part.source(), "pack: source");
    Objects.requireNonNull(part.dtype(), "pack: dtype");
    range("pack", "rows", part.rowBegin(), part.rowCount(), weight.rows());
    range("pack", "columns", part.columnBegin(), part.columnCount(), weight.columns());
    long needed = (long) part.rowCount() * part.columnCount() * part.dtype().bytes();
    if (part.source().remaining() != needed) {
      throw invalid("pack: the source has %d bytes: [%d, %d] of %s takes %d",
          part.source().remaining(), part.rowCount(), part.columnCount(), part.dtype(), needed);
    }
    scales(weight, part);
  }

  private static void scales(PackedWeight weight, PackedWeight.Part part) {
    float[] scales = part.scales();
    boolean intoInt8 = weight.dtype() == DType.S8;
    if (scales == null) {
      if (part.dtype() == DType.S8) {
        throw new NullPointerException("pack: scales of a source of S8");
      }
      if (intoInt8 && (part.transposed() || part.columnCount() != weight.columns())) {
        throw invalid("pack: columns [%d, %d + %d)%s without scales: the scale of a row is found from all its %d columns",
            part.columnBegin(), part.columnBegin(), part.columnCount(), part.transposed() ? ", transposed," : "", weight.columns());
      }
      return;
    }
    if (part.dtype() != DType.S8 && !intoInt8) {
      throw invalid("pack: scales with a source of %s for a weight of %s: expected none", part.dtype(), weight.dtype());
    }
    length("pack", "scales", scales.length, part.rowCount());
    for (int r = 0; r < scales.length; r++) {
      if (!(scales[r] >= 0 && scales[r] < Float.POSITIVE_INFINITY)) {
        throw invalid("pack: scales[%d] is %s: expected a finite number, 0 or more", r, scales[r]);
      }
    }
  }

  private static void range(String op, String what, int begin, int count, int size) {
    if (!(begin >= 0 && count >= 0 && begin <= size - count)) {
      throw invalid("%s: %s [%d, %d + %d): expected a part of [0, %d)", op, what, begin, begin, count, size);
    }
  }

  public static void view(Tensor tensor, int rowBegin, int rowCount, int columnBegin, int columnCount) {
    if (rowBegin < 0 || rowCount < 0 || rowBegin > tensor.rows() - rowCount || columnBegin < 0 || columnCount < 0
        || columnBegin > tensor.columns() - columnCount) {
      throw new IndexOutOfBoundsException("view: rows [" + rowBegin + ", +" + rowCount + "), columns [" + columnBegin + ", +"
          + columnCount + ") of " + shape(tensor));
    }
  }

  public static void rows(QuantizedTensor tensor, int rowBegin, int rowCount) {
    if (rowBegin < 0 || rowCount < 0 || rowBegin > tensor.rows() - rowCount) {
      throw new IndexOutOfBoundsException("rows [" + rowBegin + ", +" + rowCount + ") of " + shape(tensor.rows(), tensor.columns()));
    }
  }

  /** That the arrays have room for all elements and scales of the tensor. */
  public static void copy(QuantizedTensor tensor, byte[] elements, float[] scales) {
    long needed = (long) tensor.rows() * tensor.columns();
    if (elements.length < needed || scales.length < tensor.rows()) {
      throw new IndexOutOfBoundsException("copy of " + shape(tensor.rows(), tensor.columns()) + ": arrays of " + elements.length + " and "
          + scales.length + " have no room for " + needed + " elements and " + tensor.rows() + " scales");
    }
  }

  /** That {@code array[offset …]} has room for all elements of the tensor. */
  public static void copy(Tensor tensor, float[] array, int offset) {
    long needed = (long) tensor.rows() * tensor.columns();
    if (offset < 0 || array.length - offset < needed) {
      throw new IndexOutOfBoundsException("copy of " + shape(tensor) + ": an array of " + array.length + " from " + offset
          + " has no room for " + needed + " elements");
    }
  }

  public static void check(Op.Embed op) {
    PackedWeight weight = Objects.requireNonNull(op.weight(), "embed: weight");
    int[] ids = Objects.requireNonNull(op.ids(), "embed: ids");
    shaped("embed", "y", op.y(), ids.length, weight.columns());
    indices("embed", "ids", ids, weight.rows());
  }

  public static void check(Op.Linear op) {
    PackedWeight weight = Objects.requireNonNull(op.weight(), "linear: weight");
    Objects.requireNonNull(op.activation(), "linear: activation");
    Objects.requireNonNull(op.compute(), "linear: compute");
    int rows;
    if (op.quantized() == null) {
      rows = Objects.requireNonNull(op.x(), "linear: x").rows();
      shapedOfAny("linear", "x", weight.dtype() == DType.S8 ? floats("linear", "x", op.x()) : op.x(), rows, weight.columns());
    } else {
      rows = op.quantized().rows();
      shaped("linear", "quantized", op.quantized(), rows, weight.columns());
      if (op.x() != null) {
        throw invalid("linear: both x and quantized: expected one of them");
      }
    }
    shapedOfAny("linear", "y", op.y(), rows, weight.rows());
    if (op.bias() != null) {
      shaped("linear", "bias", op.bias(), 1, weight.rows());
    }
    if (op.residual() != null) {
      shaped("linear", "residual", op.residual(), rows, weight.rows());
    }
    boolean int8 = weight.dtype() == DType.S8;
    boolean fits = switch (op.compute()) {
      case EXACT -> !int8;
      case BF16 -> weight.dtype() == DType.BF16;
      case F16 -> weight.dtype() == DType.F16;
      case INT8 -> int8;
    };
    if (!fits) {
      String expected = switch (weight.dtype()) {
        case F32 -> "EXACT";
        case BF16 -> "EXACT or BF16";
        case F16 -> "EXACT or F16";
        case S8 -> "INT8";
      };
      throw invalid("linear: compute %s with a weight of %s: expected %s", op.compute(), weight.dtype(), expected);
    }
    if (op.quantized() != null && !int8) {
      throw invalid("linear: quantized rows with a weight of %s: expected S8", weight.dtype());
    }
    quantizationScale("linear", "inputScale", op.inputScale(), op.quantized() == null && int8);
  }

  /** A scale that is given: 0 for each row's own. */
  private static void quantizationScale(String op, String name, float scale, boolean used) {
    if (!(scale >= 0 && scale < Float.POSITIVE_INFINITY)) {
      throw invalid("%s: %s %s: expected a finite number, 0 or more", op, name, scale);
    }
    if (scale != 0 && !used) {
      throw invalid("%s: %s %s, but nothing is quantized: expected 0", op, name, scale);
    }
  }

  public static void check(Op.Norm op) {
    Tensor x = floats("norm", "x", op.x());
    Objects.requireNonNull(op.kind(), "norm: kind");
    if (!(op.epsilon() >= 0 && op.epsilon() < Float.POSITIVE_INFINITY)) {
      throw invalid("norm: epsilon %s: expected a finite number, 0 or more", op.epsilon());
    }
    int rows = x.rows();
    int columns = x.columns();
    shaped("norm", "weight", op.weight(), 1, columns);
    results("norm", op.y(), op.quantized(), op.outputScale(), rows, columns);
    if (op.bias() != null) {
      shaped("norm", "bias", op.bias(), 1, columns);
    }
    if (op.residual() != null) {
      shaped("norm", "residual", op.residual(), rows, columns);
    }
    if (op.sum() != null) {
      shaped("norm", "sum", op.sum(), rows, columns);
    }
  }

  public static void check(Op.RopeTable op) {
    long[] positions = Objects.requireNonNull(op.positions(), "ropeTable: positions");
    double[] frequencies = Objects.requireNonNull(op.inverseFrequency(), "ropeTable: inverseFrequency");
    if (!Float.isFinite(op.scale())) {
      throw invalid("ropeTable: scale %s: expected a finite number", op.scale());
    }
    table("ropeTable", "cos", op.cos(), positions.length, frequencies.length);
    table("ropeTable", "sin", op.sin(), positions.length, frequencies.length);
    for (int t = 0; t < positions.length; t++) {
      if (positions[t] < 0) {
        throw invalid("ropeTable: positions[%d] is %d: expected 0 or more", t, positions[t]);
      }
    }
    for (int i = 0; i < frequencies.length; i++) {
      if (!Double.isFinite(frequencies[i])) {
        throw invalid("ropeTable: inverseFrequency[%d] is %s: expected a finite number", i, frequencies[i]);
      }
    }
  }

  public static void check(Op.Rope op) {
    Objects.requireNonNull(op.pairing(), "rope: pairing");
    Tensor x = Objects.requireNonNull(op.x(), "rope: x");
    Tensor cos = Objects.requireNonNull(op.cos(), "rope: cos");
    if (!(op.heads() >= 1 && op.headDim() >= 1)) {
      throw invalid("rope: %d heads of %d dimensions: expected at least 1", op.heads(), op.headDim());
    }
    if (!(2L * cos.columns() <= op.headDim())) {
      throw invalid("rope: %d rotated pairs: a head has %d dimensions", cos.columns(), op.headDim());
    }
    int columns = width("rope", op.heads(), op.headDim());
    shaped("rope", "x", x, x.rows(), columns);
    shaped("rope", "y", op.y(), x.rows(), columns);
    table("rope", "cos", cos, x.rows(), cos.columns());
    table("rope", "sin", op.sin(), x.rows(), cos.columns());
  }

  public static void check(Op.KvWrite op) {
    KvPages.Spec spec = Objects.requireNonNull(op.pages(), "kvWrite: pages").spec();
    long[] slots = Objects.requireNonNull(op.slots(), "kvWrite: slots");
    layer("kvWrite", op.layer(), spec);
    int columns = width("kvWrite", spec.kvHeads(), spec.headDim());
    shaped("kvWrite", "k", op.k(), slots.length, columns);
    shaped("kvWrite", "v", op.v(), slots.length, columns);
    if (op.rotation() != null) {
      check(op.rotation(), slots.length, spec.headDim());
    }
    long end = (long) spec.pages() * KvPages.PAGE_TOKENS;
    boolean ascending = true;
    long last = -1;
    for (int t = 0; t < slots.length; t++) {
      if (slots[t] < -1 || slots[t] >= end) {
        throw invalid("kvWrite: slots[%d] is %d: expected -1 to %d", t, slots[t], end - 1);
      }
      if (slots[t] >= 0) {
        ascending &= slots[t] > last;
        last = slots[t];
      }
    }
    if (!ascending) {
      distinct(slots.clone());
    }
  }

  private static void check(Op.Rotation rotation, int tokens, int headDim) {
    Objects.requireNonNull(rotation.pairing(), "kvWrite: pairing");
    Tensor cos = Objects.requireNonNull(rotation.cos(), "kvWrite: cos");
    if (!(2L * cos.columns() <= headDim)) {
      throw invalid("kvWrite: %d rotated pairs: a head has %d dimensions", cos.columns(), headDim);
    }
    table("kvWrite", "cos", cos, tokens, cos.columns());
    table("kvWrite", "sin", rotation.sin(), tokens, cos.columns());
    Tensor q = rotation.q();
    if (q != null) {
      if (q.columns() == 0 || q.columns() % headDim != 0) {
        throw invalid("kvWrite: q is %s: expected heads of %d dimensions", shape(q), headDim);
      }
      shaped("kvWrite", "q", q, tokens, q.columns());
    }
  }

  private static void distinct(long[] slots) {
    Arrays.sort(slots);
    for (int t = 1; t < slots.length; t++) {
      if (slots[t] >= 0 && slots[t] == slots[t - 1]) {
        throw invalid("kvWrite: slots holds %d twice", slots[t]);
      }
    }
  }

  public static void check(Op.Attention op) {
    KvPages.Spec spec = Objects.requireNonNull(op.pages(), "attention: pages").spec();
    Op.Ragged ragged = Objects.requireNonNull(op.ragged(), "attention: ragged");
    Tensor q = Objects.requireNonNull(op.q(), "attention: q");
    layer("attention", op.layer(), spec);
    if (!(op.heads() >= 1 && op.heads() % spec.kvHeads() == 0)) {
      throw invalid("attention: %d heads: expected a multiple of the %d kv heads", op.heads(), spec.kvHeads());
    }
    if (!Float.isFinite(op.scale())) {
      throw invalid("attention: scale %s: expected a finite number", op.scale());
    }
    Compute compute = Objects.requireNonNull(op.compute(), "attention: compute");
    boolean fits = switch (spec.dtype()) {
      case S8 -> compute == Compute.INT8;
      case BF16 -> compute == Compute.EXACT || compute == Compute.BF16;
      case F16 -> compute == Compute.EXACT || compute == Compute.F16;
      case F32 -> compute == Compute.EXACT;
    };
    if (!fits) {
      throw invalid("attention: compute %s with pages of %s: expected EXACT, BF16 for BF16 pages only, F16 for F16 pages only, INT8 for S8"
          + " pages", compute, spec.dtype());
    }
    check(ragged, spec, op.causal());
    int columns = width("attention", op.heads(), spec.headDim());
    shaped("attention", "q", q, ragged.tokens(), columns);
    shapedOfAny("attention", "out", op.out(), ragged.tokens(), columns);
    if (op.qSink() != null) {
      shaped("attention", "qSink", op.qSink(), ragged.tokens(), columns);
      if (op.qSink().stride() != q.stride()) {
        throw invalid("attention: qSink has stride %d: expected that of q, %d", op.qSink().stride(), q.stride());
      }
    }
  }

  private static void check(Op.Ragged ragged, KvPages.Spec spec, boolean causal) {
    long[] begin = Objects.requireNonNull(ragged.queryBegin(), "attention: queryBegin");
    long[] keys = Objects.requireNonNull(ragged.keyCount(), "attention: keyCount");
    int[][] table = Objects.requireNonNull(ragged.pageTable(), "attention: pageTable");
    long[] window = Objects.requireNonNull(ragged.window(), "attention: window");
    long[] sinks = Objects.requireNonNull(ragged.sinks(), "attention: sinks");
    int sequences = keys.length;
    length("attention", "queryBegin", begin.length, sequences + 1L);
    length("attention", "pageTable", table.length, sequences);
    length("attention", "window", window.length, sequences);
    length("attention", "sinks", sinks.length, sequences);
    if (begin[0] != 0) {
      throw invalid("attention: queryBegin[0] is %d: expected 0", begin[0]);
    }
    if (begin[sequences] > Integer.MAX_VALUE) {
      throw invalid("attention: %d queries: expected at most %d", begin[sequences], Integer.MAX_VALUE);
    }
    for (int s = 0; s < sequences; s++) {
      long queries = begin[s + 1] - begin[s];
      if (queries < 0) {
        throw invalid("attention: queryBegin[%d] is %d, less than the one before, %d", s + 1, begin[s + 1], begin[s]);
      }
      if (keys[s] < queries) {
        throw invalid("attention: keyCount[%d] is %d: expected at least its %d queries", s, keys[s], queries);
      }
      if (keys[s] > Integer.MAX_VALUE) {
        throw invalid("attention: keyCount[%d] is %d: expected at most %d", s, keys[s], Integer.MAX_VALUE);
      }
      if (window[s] < 0) {
        throw invalid("attention: window[%d] is %d: expected 0 or more", s, window[s]);
      }
      if (sinks[s] < 0) {
        throw invalid("attention: sinks[%d] is %d: expected 0 or more", s, sinks[s]);
      }
      if (!(window[s] == 0 || causal)) {
        throw invalid("attention: window[%d] is %d: a window needs causal attention", s, window[s]);
      }
      int[] pages = Objects.requireNonNull(table[s], "attention: a page table");
      if (queries > 0) {
        if ((long) pages.length * KvPages.PAGE_TOKENS < keys[s]) {
          throw invalid("attention: pageTable[%d] has %d pages: too few for %d keys", s, pages.length, keys[s]);
        }
        long firstVisible = window[s] == 0 ? 0 : Math.max(0, keys[s] - queries + 1 - window[s]);
        visible(pages, s, 0, Math.min(sinks[s], keys[s]), spec);
        visible(pages, s, firstVisible, keys[s], spec);
      }
    }
  }

  private static void visible(int[] pages, int sequence, long keyBegin, long keyEnd, KvPages.Spec spec) {
    for (long key = keyBegin / KvPages.PAGE_TOKENS * KvPages.PAGE_TOKENS; key < keyEnd; key += KvPages.PAGE_TOKENS) {
      int index = (int) (key / KvPages.PAGE_TOKENS);
      if (!(pages[index] >= 0 && pages[index] < spec.pages())) {
        throw invalid("attention: pageTable[%d][%d] is %d: expected 0 to %d", sequence, index, pages[index], spec.pages() - 1);
      }
    }
  }

  public static void check(Op.Gate op) {
    Objects.requireNonNull(op.activation(), "gate: activation");
    Tensor gate = floats("gate", "gate", op.gate());
    shaped("gate", "up", op.up(), gate.rows(), gate.columns());
    results("gate", op.y(), op.quantized(), op.outputScale(), gate.rows(), gate.columns());
  }

  /** A result as float32, quantized, or both. */
  private static void results(String op, Tensor y, QuantizedTensor quantized, float scale, int rows, int columns) {
    if (y != null || quantized == null) {
      shapedOfAny(op, "y", y, rows, columns);
    }
    if (quantized != null) {
      shaped(op, "quantized", quantized, rows, columns);
    }
    quantizationScale(op, "outputScale", scale, quantized != null);
  }

  public static void check(Op.Route op) {
    Tensor logits = floats("route", "logits", op.logits());
    int[] expert = Objects.requireNonNull(op.expert(), "route: expert");
    float[] weight = Objects.requireNonNull(op.weight(), "route: weight");
    if (!(op.topK() >= 1 && op.topK() <= logits.columns())) {
      throw invalid("route: topK %d: expected 1 to %d", op.topK(), logits.columns());
    }
    length("route", "expert", expert.length, (long) logits.rows() * op.topK());
    length("route", "weight", weight.length, (long) logits.rows() * op.topK());
  }

  public static void check(Op.Gather op) {
    Tensor x = floats("gather", "x", op.x());
    int[] index = Objects.requireNonNull(op.index(), "gather: index");
    shaped("gather", "y", op.y(), index.length, x.columns());
    indices("gather", "index", index, x.rows());
  }

  public static void check(Op.Combine op) {
    Tensor x = floats("combine", "x", op.x());
    Tensor y = Objects.requireNonNull(op.y(), "combine: y");
    int[] index = Objects.requireNonNull(op.index(), "combine: index");
    float[] weight = Objects.requireNonNull(op.weight(), "combine: weight");
    if (op.terms() < 0) {
      throw invalid("combine: %d terms: expected 0 or more", op.terms());
    }
    length("combine", "index", index.length, (long) y.rows() * op.terms());
    length("combine", "weight", weight.length, (long) y.rows() * op.terms());
    shaped("combine", "y", y, y.rows(), x.columns());
    if (op.residual() != null) {
      shaped("combine", "residual", op.residual(), y.rows(), x.columns());
    }
    indices("combine", "index", index, x.rows());
  }

  public static void check(Op.Sample op) {
    Tensor logits = floats("sample", "logits", op.logits());
    SampleRow[] rows = Objects.requireNonNull(op.rows(), "sample: rows");
    int[] token = Objects.requireNonNull(op.token(), "sample: token");
    length("sample", "rows", rows.length, logits.rows());
    length("sample", "token", token.length, logits.rows());
    if (op.logProbability() != null) {
      length("sample", "logProbability", op.logProbability().length, logits.rows());
    }
    for (int i = 0; i < rows.length; i++) {
      SampleRow row = Objects.requireNonNull(rows[i], "sample: a row");
      if (!(row.temperature() >= 0 && row.temperature() < Float.POSITIVE_INFINITY)) {
        throw invalid("sample: temperature of row %d is %s: expected a finite number, 0 or more", i, row.temperature());
      }
      if (row.topK() < 0) {
        throw invalid("sample: topK of row %d is %d: expected 0 or more", i, row.topK());
      }
      if (!(row.topP() > 0 && row.topP() <= 1)) {
        throw invalid("sample: topP of row %d is %s: expected more than 0 and at most 1", i, row.topP());
      }
      if (!(row.minP() >= 0 && row.minP() < 1)) {
        throw invalid("sample: minP of row %d is %s: expected at least 0 and less than 1", i, row.minP());
      }
      if (!(row.repetitionPenalty() > 0 && row.repetitionPenalty() < Float.POSITIVE_INFINITY)) {
        throw invalid("sample: repetitionPenalty of row %d is %s: expected a finite number above 0", i, row.repetitionPenalty());
      }
      indices("sample", "seen", Objects.requireNonNull(row.seen(), "sample: seen"), logits.columns());
    }
  }

  public static void check(Op.TopLogProbabilities op) {
    Tensor logits = floats("topLogProbabilities", "logits", op.logits());
    int[] token = Objects.requireNonNull(op.token(), "topLogProbabilities: token");
    float[] logProbability = Objects.requireNonNull(op.logProbability(), "topLogProbabilities: logProbability");
    if (!(op.topK() >= 1 && op.topK() <= logits.columns())) {
      throw invalid("topLogProbabilities: topK %d: expected 1 to %d", op.topK(), logits.columns());
    }
    length("topLogProbabilities", "token", token.length, (long) logits.rows() * op.topK());
    length("topLogProbabilities", "logProbability", logProbability.length, (long) logits.rows() * op.topK());
  }

  /** That a tensor is there and holds float32. */
  private static Tensor floats(String op, String name, Tensor tensor) {
    if (tensor == null) {
      throw new NullPointerException(op + ": " + name);
    }
    if (tensor.dtype() != DType.F32) {
      throw invalid("%s: %s is of %s: expected F32", op, name, tensor.dtype());
    }
    return tensor;
  }

  /** That a tensor is there, holds float32 and has this shape. */
  private static void shaped(String op, String name, Tensor tensor, int rows, int columns) {
    shapedOfAny(op, name, floats(op, name, tensor), rows, columns);
  }

  /** That a tensor, of float32 or bfloat16, is there and has this shape. */
  private static void shapedOfAny(String op, String name, Tensor tensor, int rows, int columns) {
    if (tensor == null) {
      throw new NullPointerException(op + ": " + name);
    }
    if (tensor.rows() != rows || tensor.columns() != columns) {
      throw new IllegalArgumentException(op + ": " + name + " is " + shape(tensor) + ": expected [" + rows + ", " + columns + "]");
    }
  }

  private static void shaped(String op, String name, QuantizedTensor tensor, int rows, int columns) {
    if (tensor.rows() != rows || tensor.columns() != columns) {
      throw invalid("%s: %s is %s: expected %s", op, name, shape(tensor.rows(), tensor.columns()), shape(rows, columns));
    }
  }

  private static void table(String op, String name, Tensor tensor, int rows, int columns) {
    shaped(op, name, tensor, rows, columns);
    if (rows > 1 && columns > 0 && tensor.stride() != columns) {
      throw invalid("%s: %s has stride %d: expected contiguous rows of %d", op, name, tensor.stride(), columns);
    }
  }

  private static void layer(String op, int layer, KvPages.Spec spec) {
    if (!(layer >= 0 && layer < spec.layers())) {
      throw invalid("%s: layer %d: expected 0 to %d", op, layer, spec.layers() - 1);
    }
  }

  private static int width(String op, int heads, int headDim) {
    long columns = (long) heads * headDim;
    if (columns > Integer.MAX_VALUE) {
      throw invalid("%s: %d heads of %d dimensions are too wide", op, heads, headDim);
    }
    return (int) columns;
  }

  private static void length(String op, String name, int length, long expected) {
    if (length != expected) {
      throw invalid("%s: %s has %d elements: expected %d", op, name, length, expected);
    }
  }

  private static void indices(String op, String name, int[] values, int end) {
    for (int i = 0; i < values.length; i++) {
      if (values[i] < 0 || values[i] >= end) {
        throw new IllegalArgumentException(op + ": " + name + "[" + i + "] is " + values[i] + ": expected 0 to " + (end - 1));
      }
    }
  }

  private static String shape(Tensor tensor) {
    return shape(tensor.rows(), tensor.columns());
  }

  private static String shape(int rows, int columns) {
    return "[" + rows + ", " + columns + "]";
  }

  private static IllegalArgumentException invalid(String message, Object... values) {
    return new IllegalArgumentException(String.format(Locale.ROOT, message, values));
  }
}
