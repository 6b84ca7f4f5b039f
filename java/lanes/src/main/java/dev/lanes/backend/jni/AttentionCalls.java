package dev.lanes.backend.jni;

import dev.lanes.backend.Op;
import dev.lanes.kernels.AttentionParams;
import dev.lanes.kernels.KvWriteParams;
import dev.lanes.kernels.global.lanes;

/** The calls on KV pages; see {@link Calls}. */
final class AttentionCalls {
  private final CallQueue queue;
  private final Staging staging;
  private final Write write;
  private final Attend attend;

  AttentionCalls(Calls.Arena arena, CallQueue queue, Staging staging) {
    this.queue = queue;
    this.staging = staging;
    this.write = new Write(arena);
    this.attend = new Attend(arena);
  }

  private static final class Write {
    final Struct<KvWriteParams> struct;
    final int pool;
    final int layer;
    final int tokens;
    final Struct<KvWriteParams>.Array slots;
    final Struct<KvWriteParams>.Matrix k;
    final Struct<KvWriteParams>.Matrix v;
    final int pairing;
    final int queryHeads;
    final int half;
    final Struct<KvWriteParams>.Array cos;
    final Struct<KvWriteParams>.Array sin;
    final Struct<KvWriteParams>.Matrix q;

    Write(Calls.Arena arena) {
      struct = arena.struct(KvWriteParams.class, KvWriteParams::new);
      pool = struct.offset("pool");
      layer = struct.offset("layer");
      tokens = struct.offset("tokens");
      slots = struct.array("slots");
      k = struct.matrix("k");
      v = struct.matrix("v");
      pairing = struct.offset("pairing");
      queryHeads = struct.offset("q_heads");
      half = struct.offset("half");
      cos = struct.array("cos");
      sin = struct.array("sin");
      q = struct.matrix("q");
    }

    void set(Op.Rotation rotation, int headDim) {
      NativeTensor queries = (NativeTensor) rotation.q();
      struct.setInt(pairing, Calls.pairing(rotation.pairing()));
      struct.setInt(queryHeads, queries == null ? 0 : queries.columns() / headDim);
      struct.setLong(half, rotation.cos().columns());
      cos.set((NativeTensor) rotation.cos());
      sin.set((NativeTensor) rotation.sin());
      q.set(queries);
    }

    void setNoRotation() {
      struct.setInt(queryHeads, 0);
      struct.setLong(half, 0);
      cos.set(null);
      sin.set(null);
      q.set(null);
    }
  }

  void write(Op.KvWrite op) {
    long[] slots = op.slots();
    staging.begin(Staging.size(slots.length, Long.BYTES));
    write.struct.setLong(write.pool, ((NativeKvPages) op.pages()).address());
    write.struct.setInt(write.layer, op.layer());
    write.struct.setLong(write.tokens, slots.length);
    write.slots.set(staging.put(slots), slots.length);
    write.k.set((NativeTensor) op.k());
    write.v.set((NativeTensor) op.v());
    if (op.rotation() != null) {
      write.set(op.rotation(), op.pages().spec().headDim());
    } else {
      write.setNoRotation();
    }
    queue.add(lanes.LANES_CALL_KV_WRITE, write.struct);
  }

  private static final class Attend {
    final Struct<AttentionParams> struct;
    final int pool;
    final int layer;
    final int heads;
    final int sequences;
    final int causal;
    final int scale;
    final int tokens;
    final Struct<AttentionParams>.Matrix q;
    final Struct<AttentionParams>.Array qSink;
    final Struct<AttentionParams>.Array queryBegin;
    final Struct<AttentionParams>.Array keyCount;
    final Struct<AttentionParams>.Array pageTable;
    final int pageTableStride;
    final Struct<AttentionParams>.Array window;
    final Struct<AttentionParams>.Array sinks;
    final Struct<AttentionParams>.Floats out;
    final int compute;

    Attend(Calls.Arena arena) {
      struct = arena.struct(AttentionParams.class, AttentionParams::new);
      pool = struct.offset("pool");
      layer = struct.offset("layer");
      heads = struct.offset("heads");
      sequences = struct.offset("sequences");
      causal = struct.offset("causal");
      scale = struct.offset("scale");
      tokens = struct.offset("tokens");
      q = struct.matrix("q");
      qSink = struct.array("q_sink");
      queryBegin = struct.array("q_begin");
      keyCount = struct.array("kv_len");
      pageTable = struct.array("page_table");
      pageTableStride = struct.offset("page_table_stride");
      window = struct.array("window");
      sinks = struct.array("sinks");
      out = struct.floats("out");
      compute = struct.offset("compute");
    }
  }

  void run(Op.Attention op) {
    Op.Ragged ragged = op.ragged();
    int sequences = ragged.sequences();
    int pages = 0;
    for (int[] row : ragged.pageTable()) {
      pages = Math.max(pages, row.length);
    }
    staging.begin(Staging.size((long) sequences * pages, Integer.BYTES) + Staging.size(4L * sequences + 1, Long.BYTES));
    attend.struct.setLong(attend.pool, ((NativeKvPages) op.pages()).address());
    attend.struct.setInt(attend.layer, op.layer());
    attend.struct.setInt(attend.heads, op.heads());
    attend.struct.setInt(attend.sequences, sequences);
    attend.struct.setInt(attend.causal, op.causal() ? 1 : 0);
    attend.struct.setFloat(attend.scale, op.scale());
    attend.struct.setLong(attend.tokens, ragged.tokens());
    attend.q.set((NativeTensor) op.q());
    attend.qSink.set((NativeTensor) op.qSink());
    attend.queryBegin.set(staging.put(ragged.queryBegin()), sequences + 1);
    attend.keyCount.set(staging.put(ragged.keyCount()), sequences);
    attend.window.set(staging.put(ragged.window()), sequences);
    attend.sinks.set(staging.put(ragged.sinks()), sequences);
    attend.pageTable.set(pageTable(ragged.pageTable(), pages), (long) sequences * pages);
    attend.struct.setLong(attend.pageTableStride, pages);
    attend.out.set((NativeTensor) op.out());
    attend.struct.setInt(attend.compute, Calls.compute(op.compute()));
    queue.add(lanes.LANES_CALL_ATTENTION, attend.struct);
  }

  /** The rows of a table, filled up with -1 to the same length. */
  private long pageTable(int[][] rows, int pages) {
    long there = staging.find(rows);
    if (there != 0) {
      return there;
    }
    int table = staging.reserve(rows.length * pages, Integer.BYTES);
    for (int s = 0; s < rows.length; s++) {
      int at = table + s * pages * Integer.BYTES;
      staging.putAt(at, rows[s]);
      staging.fillAt(at + rows[s].length * Integer.BYTES, pages - rows[s].length, -1);
    }
    return staging.remember(rows, staging.address(table));
  }
}
