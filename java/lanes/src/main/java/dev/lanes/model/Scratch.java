package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.Tensor;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * The buffers between ops. They hold the largest step so far and are reused by every layer and step; views of them are made once for
 * each number of tokens, so that a decode step allocates nothing.
 */
final class Scratch implements AutoCloseable {
  private static final int VIEWS_KEPT = 64;

  private final Backend backend;
  private final ModelShape shape;
  private final InputForms forms;
  private final Map<Buffer, Tensor> buffers = new EnumMap<>(Buffer.class);
  /** Of the group {@link Group#TOKENS}; null where no layer needs it. */
  private QuantizedTensor normedInt8;
  private QuantizedTensor innerInt8;
  private final Map<Group, Integer> capacity = new EnumMap<>(Group.class);
  private final Map<Integer, Views> views = recentlyUsed();
  private final Map<Integer, SinkViews> sinkViews = recentlyUsed();
  private final Map<Integer, LogitViews> logitViews = recentlyUsed();

  /** Buffers that grow together. */
  private enum Group {
    /** A row for each token, or for each token and expert. */
    TOKENS,
    /** What steps with re-numbered positions need beside them. */
    SINKS,
    /** A row for each token whose logits are wanted. */
    LOGITS
  }

  private enum Buffer {
    STREAM(Group.TOKENS), NORMED(Group.TOKENS), NORMED_BF16(Group.TOKENS), QKV(Group.TOKENS), ATTENTION(Group.TOKENS),
    ATTENTION_BF16(Group.TOKENS), INNER(Group.TOKENS), INNER_BF16(Group.TOKENS), COS(Group.TOKENS), SIN(Group.TOKENS),
    ROUTER(Group.TOKENS), EXPERTS(Group.TOKENS),
    SINK_QUERIES(Group.SINKS), SINK_COS(Group.SINKS), SINK_SIN(Group.SINKS),
    LAST(Group.LOGITS), LAST_BF16(Group.LOGITS), LOGITS(Group.LOGITS);

    final Group group;

    Buffer(Group group) {
      this.group = group;
    }

    DType dtype() {
      return switch (this) {
        case NORMED_BF16, ATTENTION_BF16, INNER_BF16, LAST_BF16 -> DType.BF16;
        default -> DType.F32;
      };
    }

    int rows(ModelShape shape, int tokens) {
      return this == INNER || this == INNER_BF16 || this == EXPERTS ? shape.innerRows(tokens) : tokens;
    }

    /** 0 for a buffer that the model does not need. */
    int columns(ModelShape shape, InputForms forms) {
      return switch (this) {
        case STREAM -> shape.hidden();
        case NORMED, NORMED_BF16 -> only(forms.normed(), shape.hidden());
        case QKV -> shape.qkvWidth();
        case ATTENTION, ATTENTION_BF16 -> only(forms.attention(), shape.queryWidth());
        case INNER -> shape.gated() ? shape.innerWidth() : only(forms.inner(), shape.inner());
        case INNER_BF16 -> only(forms.inner(), shape.inner());
        case COS, SIN, SINK_COS, SINK_SIN -> shape.rotaryHalf();
        case ROUTER -> shape.experts();
        case EXPERTS -> shape.experts() == 0 ? 0 : shape.hidden();
        case SINK_QUERIES -> shape.rotaryHalf() == 0 ? 0 : shape.qkvWidth();
        case LAST -> shape.logits() ? shape.hidden() : 0;
        case LAST_BF16 -> only(Set.of(forms.last()), shape.hidden());
        case LOGITS -> shape.logits() ? shape.vocabulary() : 0;
      };
    }

    private int only(Set<DType> needed, int columns) {
      return needed.contains(dtype()) ? columns : 0;
    }
  }

  /** The same rows in each form that some layer needs them in; null for the others. */
  record Rows(Tensor f32, Tensor bf16, QuantizedTensor int8) {}

  /**
   * The buffers' parts for steps of one number of tokens.
   *
   * @param stream the residual stream [tokens, hidden]
   * @param normed [tokens, hidden]
   * @param qkv [tokens, (heads + 2 * kvHeads) * headDim]
   * @param q the queries in it
   * @param k the keys in it
   * @param v the values in it
   * @param attention [tokens, heads * headDim]
   * @param cos [tokens, rotaryHalf], or null
   * @param sin like cos
   * @param router [tokens, experts], or null
   * @param experts the rows of all experts, one expert's behind the other's, [tokens * expertsPerToken, hidden]; or null
   * @param inner inside the feed-forward network, [tokens, innerWidth], or of all experts [tokens * expertsPerToken, innerWidth]
   */
  record Views(Tensor stream, Rows normed, Tensor qkv, Tensor q, Tensor k, Tensor v, Rows attention, Tensor cos, Tensor sin,
      Tensor router, Tensor experts, InnerViews inner) {}

  /**
   * Rows inside a feed-forward network.
   *
   * @param all what the first linear layer gives when gated, [rows, innerWidth]; else null
   * @param gate its first half, or null
   * @param up its second half, or null
   * @param result what goes into the second linear layer, [rows, inner]; when gated, float32 takes the gate's place
   */
  record InnerViews(Tensor all, Tensor gate, Tensor up, Rows result) {}

  /**
   * What steps with re-numbered positions need.
   *
   * @param cos [tokens, rotaryHalf]
   * @param sin like cos
   * @param q the queries as the sinks see them; its rows are as far apart as those of {@link Views#q}
   */
  record SinkViews(Tensor cos, Tensor sin, Tensor q) {}

  /**
   * @param last final hidden states whose logits are wanted, [rows, hidden]
   * @param normed the same behind the final norm; may be last
   * @param logits [rows, vocabulary]
   */
  record LogitViews(Tensor last, Tensor normed, Tensor logits) {}

  Scratch(Backend backend, ModelShape shape, InputForms forms) {
    this.backend = backend;
    this.shape = shape;
    this.forms = forms;
  }

  /** Bytes that steps of up to so many tokens and logit rows take. */
  static long bytes(ModelShape shape, InputForms forms, int tokens, int logitRows) {
    long bytes = (forms.normed().contains(DType.S8) ? QuantizedTensor.bytes(tokens, shape.hidden()) : 0)
        + (forms.inner().contains(DType.S8) ? QuantizedTensor.bytes(shape.innerRows(tokens), shape.inner()) : 0);
    for (Buffer buffer : Buffer.values()) {
      int rows = buffer.rows(shape, buffer.group == Group.LOGITS ? logitRows : tokens);
      bytes = Math.addExact(bytes, Math.multiplyExact((long) rows, (long) buffer.columns(shape, forms) * buffer.dtype().bytes()));
    }
    return bytes;
  }

  /** Makes room for steps of so many tokens and logit rows. */
  void reserve(int tokens, int logitRows) {
    reserve(Group.TOKENS, tokens);
    reserve(Group.LOGITS, logitRows);
  }

  Views views(int tokens) {
    reserve(Group.TOKENS, tokens);
    Views known = views.get(tokens);
    if (known == null) {
      known = makeViews(tokens);
      views.put(tokens, known);
    }
    return known;
  }

  /** Only models and steps that re-number positions pay for these. */
  SinkViews sinkViews(int tokens) {
    reserve(Group.SINKS, Math.max(tokens, capacity.getOrDefault(Group.TOKENS, 0)));
    return sinkViews.computeIfAbsent(tokens, n -> new SinkViews(part(Buffer.SINK_COS, n), part(Buffer.SINK_SIN, n),
        part(Buffer.SINK_QUERIES, n).columns(0, shape.queryWidth())));
  }

  LogitViews logitViews(int rows) {
    reserve(Group.LOGITS, rows);
    return logitViews.computeIfAbsent(rows, n -> {
      Tensor last = part(Buffer.LAST, n);
      return new LogitViews(last, forms.last() == DType.BF16 ? part(Buffer.LAST_BF16, n) : last, part(Buffer.LOGITS, n));
    });
  }

  /** The rows {@code begin … begin + count - 1} inside a feed-forward network. */
  InnerViews inner(int begin, int count) {
    Tensor floats = rows(Buffer.INNER, begin, count);
    Tensor bf16 = rows(Buffer.INNER_BF16, begin, count);
    if (!shape.gated()) {
      return new InnerViews(null, null, null, new Rows(floats, bf16, null));
    }
    Tensor gate = floats.columns(0, shape.inner());
    return new InnerViews(floats, gate, floats.columns(shape.inner(), shape.inner()),
        new Rows(gate, bf16, innerInt8 == null ? null : innerInt8.rows(begin, count)));
  }

  @Override
  public void close() {
    for (Group group : Group.values()) {
      release(group);
    }
  }

  private Views makeViews(int tokens) {
    Tensor qkv = part(Buffer.QKV, tokens);
    int queries = shape.queryWidth();
    int keys = shape.keyWidth();
    Rows normed = new Rows(part(Buffer.NORMED, tokens), part(Buffer.NORMED_BF16, tokens),
        normedInt8 == null ? null : normedInt8.rows(0, tokens));
    Rows attention = new Rows(part(Buffer.ATTENTION, tokens), part(Buffer.ATTENTION_BF16, tokens), null);
    return new Views(part(Buffer.STREAM, tokens), normed, qkv, qkv.columns(0, queries),
        qkv.columns(queries, keys), qkv.columns(queries + keys, keys), attention, part(Buffer.COS, tokens), part(Buffer.SIN, tokens),
        part(Buffer.ROUTER, tokens), part(Buffer.EXPERTS, tokens), inner(0, shape.innerRows(tokens)));
  }

  private Tensor part(Buffer buffer, int tokens) {
    return rows(buffer, 0, buffer.rows(shape, tokens));
  }

  private Tensor rows(Buffer buffer, int begin, int count) {
    Tensor whole = buffers.get(buffer);
    return whole == null ? null : whole.rows(begin, count);
  }

  /** The old buffers go first: both at once might not fit. */
  private void reserve(Group group, int rows) {
    if (rows <= capacity.getOrDefault(group, 0)) {
      return;
    }
    release(group);
    for (Buffer buffer : Buffer.values()) {
      int columns = buffer.group == group ? buffer.columns(shape, forms) : 0;
      if (columns > 0) {
        buffers.put(buffer, backend.tensor(MemoryTag.SCRATCH, buffer.rows(shape, rows), columns, buffer.dtype()));
      }
    }
    if (group == Group.TOKENS && forms.normed().contains(DType.S8)) {
      normedInt8 = backend.quantizedTensor(MemoryTag.SCRATCH, rows, shape.hidden());
    }
    if (group == Group.TOKENS && forms.inner().contains(DType.S8)) {
      innerInt8 = backend.quantizedTensor(MemoryTag.SCRATCH, shape.innerRows(rows), shape.inner());
    }
    capacity.put(group, rows);
  }

  private void release(Group group) {
    capacity.remove(group);
    views.clear();
    sinkViews.clear();
    logitViews.clear();
    for (Buffer buffer : Buffer.values()) {
      Tensor tensor = buffer.group == group ? buffers.remove(buffer) : null;
      if (tensor != null) {
        tensor.close();
      }
    }
    if (group == Group.TOKENS) {
      close(normedInt8);
      close(innerInt8);
      normedInt8 = null;
      innerInt8 = null;
    }
  }

  private static void close(QuantizedTensor tensor) {
    if (tensor != null) {
      tensor.close();
    }
  }

  private static <V> Map<Integer, V> recentlyUsed() {
    return new LinkedHashMap<>(16, 0.75f, true) {
      @Override
      protected boolean removeEldestEntry(Map.Entry<Integer, V> eldest) {
        return size() > VIEWS_KEPT;
      }
    };
  }
}
