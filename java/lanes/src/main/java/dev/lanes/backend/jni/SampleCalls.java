package dev.lanes.backend.jni;

import dev.lanes.backend.Op;
import dev.lanes.backend.SampleRow;
import dev.lanes.kernels.SampleParams;
import dev.lanes.kernels.TopLogProbabilitiesParams;
import dev.lanes.kernels.global.lanes;
import java.nio.ByteBuffer;
import org.bytedeco.javacpp.Loader;

/** The calls on logits; see {@link Calls}. */
final class SampleCalls {
  private final CallQueue queue;
  private final Staging staging;
  private final Sample sample;
  private final RowFields row = new RowFields();
  private final Top top;

  SampleCalls(Calls.Arena arena, CallQueue queue, Staging staging) {
    this.queue = queue;
    this.staging = staging;
    this.sample = new Sample(arena);
    this.top = new Top(arena);
  }

  private static final class Sample {
    final Struct<SampleParams> struct;
    final int rows;
    final int vocabulary;
    final Struct<SampleParams>.Matrix logits;
    final Struct<SampleParams>.Array row;
    final Struct<SampleParams>.Array seen;
    final Struct<SampleParams>.Array token;
    final Struct<SampleParams>.Array logProbability;

    Sample(Calls.Arena arena) {
      struct = arena.struct(SampleParams.class, SampleParams::new);
      rows = struct.offset("rows");
      vocabulary = struct.offset("vocabulary");
      logits = struct.matrix("logits");
      row = struct.array("row");
      seen = struct.array("seen");
      token = struct.array("token");
      logProbability = struct.array("log_probability");
    }
  }

  /** Where the fields of a lanes_sample_row lie. */
  private static final class RowFields {
    final int size = Loader.sizeof(dev.lanes.kernels.SampleRow.class);
    final int temperature = offset("temperature");
    final int topK = offset("top_k");
    final int topP = offset("top_p");
    final int minP = offset("min_p");
    final int repetitionPenalty = offset("repetition_penalty");
    final int reserved = offset("reserved");
    final int seed = offset("seed");
    final int counter = offset("counter");
    final int seenBegin = offset("seen_begin");
    final int seenCount = offset("seen_count");

    private static int offset(String field) {
      return Loader.offsetof(dev.lanes.kernels.SampleRow.class, field);
    }

    void put(ByteBuffer memory, int at, SampleRow row, int begin, int count) {
      memory.putFloat(at + temperature, row.temperature());
      memory.putInt(at + topK, row.topK());
      memory.putFloat(at + topP, row.topP());
      memory.putFloat(at + minP, row.minP());
      memory.putFloat(at + repetitionPenalty, row.repetitionPenalty());
      memory.putInt(at + reserved, 0);
      memory.putLong(at + seed, row.seed());
      memory.putLong(at + counter, row.counter());
      memory.putLong(at + seenBegin, begin);
      memory.putLong(at + seenCount, count);
    }
  }

  void sample(Op.Sample op) {
    SampleRow[] rows = op.rows();
    int count = rows.length;
    long seenCount = 0;
    for (SampleRow r : rows) {
      seenCount += r.seen().length;
    }
    staging.begin(Staging.size(count, row.size) + Staging.size(seenCount, Integer.BYTES) + Staging.size(count, Integer.BYTES)
        + Staging.size(count, Float.BYTES));
    int table = staging.reserve(count, row.size);
    int seen = staging.reserve((int) seenCount, Integer.BYTES);
    int token = staging.reserve(count, Integer.BYTES);
    int begin = 0;
    for (int i = 0; i < count; i++) {
      int[] ids = rows[i].seen();
      row.put(staging.bytes(), table + i * row.size, rows[i], begin, ids.length);
      staging.putAt(seen + begin * Integer.BYTES, ids);
      begin += ids.length;
    }
    sample.struct.setLong(sample.rows, count);
    sample.struct.setLong(sample.vocabulary, op.logits().columns());
    sample.logits.set((NativeTensor) op.logits());
    sample.row.set(staging.address(table), count);
    sample.seen.set(staging.address(seen), seenCount);
    sample.token.set(staging.address(token), count);
    boolean withLogProbability = op.logProbability() != null;
    int logProbability = withLogProbability ? staging.reserve(count, Float.BYTES) : 0;
    sample.logProbability.set(withLogProbability ? staging.address(logProbability) : 0, withLogProbability ? count : 0);
    queue.add(lanes.LANES_CALL_SAMPLE, sample.struct, () -> {
      staging.get(token, op.token());
      if (withLogProbability) {
        staging.get(logProbability, op.logProbability());
      }
    });
  }

  private static final class Top {
    final Struct<TopLogProbabilitiesParams> struct;
    final int rows;
    final int vocabulary;
    final int topK;
    final Struct<TopLogProbabilitiesParams>.Matrix logits;
    final Struct<TopLogProbabilitiesParams>.Array token;
    final Struct<TopLogProbabilitiesParams>.Array logProbability;

    Top(Calls.Arena arena) {
      struct = arena.struct(TopLogProbabilitiesParams.class, TopLogProbabilitiesParams::new);
      rows = struct.offset("rows");
      vocabulary = struct.offset("vocabulary");
      topK = struct.offset("top_k");
      logits = struct.matrix("logits");
      token = struct.array("token");
      logProbability = struct.array("log_probability");
    }
  }

  void top(Op.TopLogProbabilities op) {
    int count = op.token().length;
    staging.begin(Staging.size(count, Integer.BYTES) + Staging.size(count, Float.BYTES));
    int token = staging.reserve(count, Integer.BYTES);
    int logProbability = staging.reserve(count, Float.BYTES);
    top.struct.setLong(top.rows, op.logits().rows());
    top.struct.setLong(top.vocabulary, op.logits().columns());
    top.struct.setInt(top.topK, op.topK());
    top.logits.set((NativeTensor) op.logits());
    top.token.set(staging.address(token), count);
    top.logProbability.set(staging.address(logProbability), count);
    queue.add(lanes.LANES_CALL_TOP_LOG_PROBABILITIES, top.struct, () -> {
      staging.get(token, op.token());
      staging.get(logProbability, op.logProbability());
    });
  }
}
