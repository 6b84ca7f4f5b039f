package dev.lanes.backend.jni;

import dev.lanes.backend.Activation;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.NormKind;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.RopePairing;
import dev.lanes.kernels.CombineParams;
import dev.lanes.kernels.EmbedParams;
import dev.lanes.kernels.GateParams;
import dev.lanes.kernels.GatherParams;
import dev.lanes.kernels.KvPoolHandle;
import dev.lanes.kernels.LinearParams;
import dev.lanes.kernels.NormParams;
import dev.lanes.kernels.RopeParams;
import dev.lanes.kernels.RopeTableParams;
import dev.lanes.kernels.RouteParams;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.WeightPackParams;
import dev.lanes.kernels.global.lanes;
import java.nio.ByteBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The calls of a backend into the kernels. Each op has one params struct, kept and refilled, and handed to the {@link CallQueue}. Arguments have been checked; everything here runs under the backend's lock.
 */
final class Calls {
  /** Heap buffers are packed through staging memory in pieces of about this size. */
  private static final int PACK_BYTES = 4 << 20;

  private final RuntimeHandle runtime;
  private final CallQueue queue;
  private final Staging staging;
  private final Pack pack;
  private final Embed embed;
  private final Linear linear;
  private final Norm norm;
  private final RopeTable ropeTable;
  private final Rope rope;
  private final Gate gate;
  private final Route route;
  private final Gather gather;
  private final Combine combine;
  private final AttentionCalls attention;
  private final SampleCalls sample;

  Calls(Resource.Owner owner, RuntimeHandle runtime) {
    this.runtime = runtime;
    this.queue = new CallQueue(owner, runtime);
    owner.beforeRelease(queue::flush);
    this.staging = new Staging(owner, queue);
    Arena arena = new Arena(Resource.block(owner, "parameters of ops", MemoryTag.OTHER, Arena.BYTES), queue);
    pack = new Pack(arena);
    embed = new Embed(arena);
    linear = new Linear(arena);
    norm = new Norm(arena);
    ropeTable = new RopeTable(arena);
    rope = new Rope(arena);
    gate = new Gate(arena);
    route = new Route(arena);
    gather = new Gather(arena);
    combine = new Combine(arena);
    attention = new AttentionCalls(arena, queue, staging);
    sample = new SampleCalls(arena, queue, staging);
  }

  CallQueue queue() {
    return queue;
  }

  /** A block that the structs are cut from. */
  static final class Arena {
    static final int BYTES = 1 << 13;

    private final Resource block;
    private final CallQueue queue;
    private int used;

    Arena(Resource block, CallQueue queue) {
      this.block = block;
      this.queue = queue;
    }

    <P extends Pointer> Struct<P> struct(Class<P> type, Struct.Cast<P> cast) {
      int begin = used;
      used += (Struct.size(type) + 63) / 64 * 64;
      if (used > BYTES) {
        throw new IllegalStateException("the structs of lanes.h take more than " + BYTES + " bytes");
      }
      return new Struct<>(type, cast, new Address(block.address() + begin), queue::flush);
    }
  }

  static int pairing(RopePairing pairing) {
    return pairing == RopePairing.HALF ? lanes.LANES_ROPE_HALF : lanes.LANES_ROPE_INTERLEAVED;
  }

  static int dtype(DType dtype) {
    return switch (dtype) {
      case F32 -> lanes.LANES_F32;
      case BF16 -> lanes.LANES_BF16;
      case F16 -> lanes.LANES_F16;
      case S8 -> lanes.LANES_S8;
    };
  }

  private static int activation(Activation activation) {
    return switch (activation) {
      case NONE -> lanes.LANES_ACTIVATION_NONE;
      case SILU -> lanes.LANES_ACTIVATION_SILU;
      case GELU -> lanes.LANES_ACTIVATION_GELU;
      case GELU_TANH -> lanes.LANES_ACTIVATION_GELU_TANH;
      case RELU -> lanes.LANES_ACTIVATION_RELU;
      case TANH -> lanes.LANES_ACTIVATION_TANH;
    };
  }

  static int compute(Compute compute) {
    return switch (compute) {
      case EXACT -> lanes.LANES_COMPUTE_EXACT;
      case BF16 -> lanes.LANES_COMPUTE_BF16;
      case INT8 -> lanes.LANES_COMPUTE_INT8;
      case F16 -> lanes.LANES_COMPUTE_F16;
    };
  }

  private static final class Pack {
    final Struct<WeightPackParams> struct;
    final int weight;
    final int src;
    final int srcBytes;
    final int srcDtype;
    final int transposed;
    final int rowBegin;
    final int rowCount;
    final int colBegin;
    final int colCount;
    final Struct<WeightPackParams>.Array scales;

    Pack(Arena arena) {
      struct = arena.struct(WeightPackParams.class, WeightPackParams::new);
      weight = struct.offset("weight");
      src = struct.offset("src");
      srcBytes = struct.offset("src_bytes");
      srcDtype = struct.offset("src_dtype");
      transposed = struct.offset("transposed");
      rowBegin = struct.offset("row_begin");
      rowCount = struct.offset("row_count");
      colBegin = struct.offset("col_begin");
      colCount = struct.offset("col_count");
      scales = struct.array("scales");
    }
  }

  void pack(NativeWeight weight, PackedWeight.Part part) {
    ByteBuffer source = part.source().slice();
    if (source.remaining() == 0) {
      return;
    }
    pack.struct.setLong(pack.weight, weight.address());
    pack.struct.setInt(pack.srcDtype, dtype(part.dtype()));
    pack.struct.setInt(pack.transposed, part.transposed() ? 1 : 0);
    if (source.isDirect()) {
      long address = new BytePointer(source).address();
      if (address % part.dtype().bytes() == 0) {
        staging.begin(scaleBytes(part));
        packPiece(address, source.remaining(), part, 0, part.transposed() ? part.columnCount() : part.rowCount());
        return;
      }
    }
    // Pieces of whole source rows: rows of the weight, or its columns when transposed.
    int rows = part.transposed() ? part.columnCount() : part.rowCount();
    int rowBytes = source.remaining() / rows;
    int step = Math.max(1, PACK_BYTES / rowBytes);
    for (int begin = 0; begin < rows; begin += step) {
      int count = Math.min(step, rows - begin);
      staging.begin(Staging.size(count, rowBytes) + scaleBytes(part));
      int at = staging.reserve(count, rowBytes);
      staging.bytes().put(at, source, begin * rowBytes, count * rowBytes);
      packPiece(staging.address(at), (long) count * rowBytes, part, begin, count);
    }
  }

  private static long scaleBytes(PackedWeight.Part part) {
    return part.scales() == null ? 0 : Staging.size(part.scales().length, Float.BYTES);
  }

  /** The scales of a piece's rows. */
  private void scales(PackedWeight.Part part, int begin, int count) {
    if (part.scales() == null) {
      pack.scales.set(0, 0);
    } else if (part.transposed()) {
      pack.scales.set(staging.put(part.scales()), part.rowCount());
    } else {
      pack.scales.set(staging.put(part.scales()) + (long) begin * Float.BYTES, count);
    }
  }

  private void packPiece(long address, long bytes, PackedWeight.Part part, int begin, int count) {
    pack.struct.setLong(pack.src, address);
    pack.struct.setLong(pack.srcBytes, bytes);
    pack.struct.setLong(pack.rowBegin, part.rowBegin() + (part.transposed() ? 0 : begin));
    pack.struct.setLong(pack.rowCount, part.transposed() ? part.rowCount() : count);
    pack.struct.setLong(pack.colBegin, part.columnBegin() + (part.transposed() ? begin : 0));
    pack.struct.setLong(pack.colCount, part.transposed() ? count : part.columnCount());
    scales(part, begin, count);
    Status.check(lanes.lanes_weight_pack(runtime, pack.struct.pointer()));
  }

  private static final class Embed {
    final Struct<EmbedParams> struct;
    final int weight;
    final Struct<EmbedParams>.Array ids;
    final int accumulate;
    final int tokens;
    final Struct<EmbedParams>.Matrix y;

    Embed(Arena arena) {
      struct = arena.struct(EmbedParams.class, EmbedParams::new);
      weight = struct.offset("weight");
      ids = struct.array("ids");
      accumulate = struct.offset("accumulate");
      tokens = struct.offset("tokens");
      y = struct.matrix("y");
    }
  }

  void embed(Op.Embed op) {
    int[] ids = op.ids();
    staging.begin(Staging.size(ids.length, Integer.BYTES));
    embed.struct.setLong(embed.weight, ((NativeWeight) op.weight()).address());
    embed.ids.set(staging.put(ids), ids.length);
    embed.struct.setInt(embed.accumulate, op.accumulate() ? 1 : 0);
    embed.struct.setLong(embed.tokens, ids.length);
    embed.y.set((NativeTensor) op.y());
    queue.add(lanes.LANES_CALL_EMBED, embed.struct);
  }

  private static final class Linear {
    final Struct<LinearParams> struct;
    final int weight;
    final int m;
    final Struct<LinearParams>.Floats x;
    final Struct<LinearParams>.Array bias;
    final Struct<LinearParams>.Matrix residual;
    final Struct<LinearParams>.Floats y;
    final int activation;
    final int compute;
    final Struct<LinearParams>.Quantized quantized;
    final int inputScale;

    Linear(Arena arena) {
      struct = arena.struct(LinearParams.class, LinearParams::new);
      weight = struct.offset("weight");
      m = struct.offset("m");
      x = struct.floats("x");
      bias = struct.array("bias");
      residual = struct.matrix("residual");
      y = struct.floats("y");
      activation = struct.offset("activation");
      compute = struct.offset("compute");
      quantized = struct.quantized("xq", "x_scale");
      inputScale = struct.offset("input_scale");
    }
  }

  void linear(Op.Linear op) {
    linear.struct.setLong(linear.weight, ((NativeWeight) op.weight()).address());
    linear.struct.setLong(linear.m, op.y().rows());
    linear.x.set((NativeTensor) op.x());
    linear.quantized.set((NativeQuantizedTensor) op.quantized());
    linear.struct.setFloat(linear.inputScale, op.inputScale());
    linear.bias.set((NativeTensor) op.bias());
    linear.residual.set((NativeTensor) op.residual());
    linear.y.set((NativeTensor) op.y());
    linear.struct.setInt(linear.activation, activation(op.activation()));
    linear.struct.setInt(linear.compute, compute(op.compute()));
    queue.add(lanes.LANES_CALL_LINEAR, linear.struct);
  }

  private static final class Norm {
    final Struct<NormParams> struct;
    final int kind;
    final int epsilon;
    final int rows;
    final int cols;
    final Struct<NormParams>.Matrix x;
    final Struct<NormParams>.Matrix residual;
    final Struct<NormParams>.Array weight;
    final Struct<NormParams>.Array bias;
    final Struct<NormParams>.Matrix sum;
    final Struct<NormParams>.Floats y;
    final Struct<NormParams>.Quantized quantized;
    final int outputScale;

    Norm(Arena arena) {
      struct = arena.struct(NormParams.class, NormParams::new);
      kind = struct.offset("kind");
      epsilon = struct.offset("epsilon");
      rows = struct.offset("rows");
      cols = struct.offset("cols");
      x = struct.matrix("x");
      residual = struct.matrix("residual");
      weight = struct.array("weight");
      bias = struct.array("bias");
      sum = struct.matrix("sum");
      y = struct.floats("y");
      quantized = struct.quantized("yq", "y_scale");
      outputScale = struct.offset("output_scale");
    }
  }

  void norm(Op.Norm op) {
    norm.struct.setInt(norm.kind, op.kind() == NormKind.LAYER ? lanes.LANES_NORM_LAYER : lanes.LANES_NORM_RMS);
    norm.struct.setFloat(norm.epsilon, op.epsilon());
    norm.struct.setLong(norm.rows, op.x().rows());
    norm.struct.setLong(norm.cols, op.x().columns());
    norm.x.set((NativeTensor) op.x());
    norm.residual.set((NativeTensor) op.residual());
    norm.weight.set((NativeTensor) op.weight());
    norm.bias.set((NativeTensor) op.bias());
    norm.sum.set((NativeTensor) op.sum());
    norm.y.set((NativeTensor) op.y());
    norm.quantized.set((NativeQuantizedTensor) op.quantized());
    norm.struct.setFloat(norm.outputScale, op.outputScale());
    queue.add(lanes.LANES_CALL_NORM, norm.struct);
  }

  private static final class RopeTable {
    final Struct<RopeTableParams> struct;
    final Struct<RopeTableParams>.Array positions;
    final Struct<RopeTableParams>.Array frequency;
    final int scale;
    final int tokens;
    final int half;
    final Struct<RopeTableParams>.Array cos;
    final Struct<RopeTableParams>.Array sin;

    RopeTable(Arena arena) {
      struct = arena.struct(RopeTableParams.class, RopeTableParams::new);
      positions = struct.array("positions");
      frequency = struct.array("inverse_frequency");
      scale = struct.offset("scale");
      tokens = struct.offset("tokens");
      half = struct.offset("half");
      cos = struct.array("cos");
      sin = struct.array("sin");
    }
  }

  void ropeTable(Op.RopeTable op) {
    long[] positions = op.positions();
    double[] frequency = op.inverseFrequency();
    staging.begin(Staging.size(positions.length, Long.BYTES) + Staging.size(frequency.length, Double.BYTES));
    ropeTable.positions.set(staging.put(positions), positions.length);
    ropeTable.frequency.set(staging.put(frequency), frequency.length);
    ropeTable.struct.setFloat(ropeTable.scale, op.scale());
    ropeTable.struct.setLong(ropeTable.tokens, positions.length);
    ropeTable.struct.setLong(ropeTable.half, frequency.length);
    ropeTable.cos.set((NativeTensor) op.cos());
    ropeTable.sin.set((NativeTensor) op.sin());
    queue.add(lanes.LANES_CALL_ROPE_TABLE, ropeTable.struct);
  }

  private static final class Rope {
    final Struct<RopeParams> struct;
    final int pairing;
    final int heads;
    final int headDim;
    final int tokens;
    final int half;
    final Struct<RopeParams>.Array cos;
    final Struct<RopeParams>.Array sin;
    final Struct<RopeParams>.Matrix x;
    final Struct<RopeParams>.Matrix y;

    Rope(Arena arena) {
      struct = arena.struct(RopeParams.class, RopeParams::new);
      pairing = struct.offset("pairing");
      heads = struct.offset("heads");
      headDim = struct.offset("head_dim");
      tokens = struct.offset("tokens");
      half = struct.offset("half");
      cos = struct.array("cos");
      sin = struct.array("sin");
      x = struct.matrix("x");
      y = struct.matrix("y");
    }
  }

  void rope(Op.Rope op) {
    rope.struct.setInt(rope.pairing, pairing(op.pairing()));
    rope.struct.setInt(rope.heads, op.heads());
    rope.struct.setInt(rope.headDim, op.headDim());
    rope.struct.setLong(rope.tokens, op.x().rows());
    rope.struct.setLong(rope.half, op.cos().columns());
    rope.cos.set((NativeTensor) op.cos());
    rope.sin.set((NativeTensor) op.sin());
    rope.x.set((NativeTensor) op.x());
    rope.y.set((NativeTensor) op.y());
    queue.add(lanes.LANES_CALL_ROPE, rope.struct);
  }

  void poison(NativeKvPages pages, int page) {
    queue.flush();
    Status.check(lanes.lanes_kv_page_poison(new KvPoolHandle(new Address(pages.address())), page));
  }

  void kvWrite(Op.KvWrite op) {
    attention.write(op);
  }

  void attention(Op.Attention op) {
    attention.run(op);
  }

  private static final class Gate {
    final Struct<GateParams> struct;
    final int activation;
    final int rows;
    final int cols;
    final Struct<GateParams>.Matrix gate;
    final Struct<GateParams>.Matrix up;
    final Struct<GateParams>.Floats y;
    final Struct<GateParams>.Quantized quantized;
    final int outputScale;

    Gate(Arena arena) {
      struct = arena.struct(GateParams.class, GateParams::new);
      activation = struct.offset("activation");
      rows = struct.offset("rows");
      cols = struct.offset("cols");
      gate = struct.matrix("gate");
      up = struct.matrix("up");
      y = struct.floats("y");
      quantized = struct.quantized("yq", "y_scale");
      outputScale = struct.offset("output_scale");
    }
  }

  void gate(Op.Gate op) {
    gate.struct.setInt(gate.activation, activation(op.activation()));
    gate.struct.setLong(gate.rows, op.gate().rows());
    gate.struct.setLong(gate.cols, op.gate().columns());
    gate.gate.set((NativeTensor) op.gate());
    gate.up.set((NativeTensor) op.up());
    gate.y.set((NativeTensor) op.y());
    gate.quantized.set((NativeQuantizedTensor) op.quantized());
    gate.struct.setFloat(gate.outputScale, op.outputScale());
    queue.add(lanes.LANES_CALL_GATE, gate.struct);
  }

  private static final class Route {
    final Struct<RouteParams> struct;
    final int tokens;
    final int experts;
    final int topK;
    final int normalize;
    final Struct<RouteParams>.Matrix logits;
    final Struct<RouteParams>.Array expert;
    final Struct<RouteParams>.Array weight;

    Route(Arena arena) {
      struct = arena.struct(RouteParams.class, RouteParams::new);
      tokens = struct.offset("tokens");
      experts = struct.offset("experts");
      topK = struct.offset("top_k");
      normalize = struct.offset("normalize");
      logits = struct.matrix("logits");
      expert = struct.array("expert");
      weight = struct.array("weight");
    }
  }

  void route(Op.Route op) {
    int count = op.expert().length;
    staging.begin(Staging.size(count, Integer.BYTES) + Staging.size(count, Float.BYTES));
    int expert = staging.reserve(count, Integer.BYTES);
    int weight = staging.reserve(count, Float.BYTES);
    route.struct.setLong(route.tokens, op.logits().rows());
    route.struct.setInt(route.experts, op.logits().columns());
    route.struct.setInt(route.topK, op.topK());
    route.struct.setInt(route.normalize, op.normalize() ? 1 : 0);
    route.logits.set((NativeTensor) op.logits());
    route.expert.set(staging.address(expert), count);
    route.weight.set(staging.address(weight), count);
    queue.add(lanes.LANES_CALL_ROUTE, route.struct, () -> {
      staging.get(expert, op.expert());
      staging.get(weight, op.weight());
    });
    // Which experts have work decides which ops come next.
    queue.flush();
  }

  private static final class Gather {
    final Struct<GatherParams> struct;
    final int rows;
    final int cols;
    final int xRows;
    final Struct<GatherParams>.Array index;
    final Struct<GatherParams>.Matrix x;
    final Struct<GatherParams>.Matrix y;

    Gather(Arena arena) {
      struct = arena.struct(GatherParams.class, GatherParams::new);
      rows = struct.offset("rows");
      cols = struct.offset("cols");
      xRows = struct.offset("x_rows");
      index = struct.array("index");
      x = struct.matrix("x");
      y = struct.matrix("y");
    }
  }

  void gather(Op.Gather op) {
    int[] index = op.index();
    staging.begin(Staging.size(index.length, Integer.BYTES));
    gather.struct.setLong(gather.rows, index.length);
    gather.struct.setLong(gather.cols, op.x().columns());
    gather.struct.setLong(gather.xRows, op.x().rows());
    gather.index.set(staging.put(index), index.length);
    gather.x.set((NativeTensor) op.x());
    gather.y.set((NativeTensor) op.y());
    queue.add(lanes.LANES_CALL_GATHER, gather.struct);
  }

  private static final class Combine {
    final Struct<CombineParams> struct;
    final int tokens;
    final int cols;
    final int terms;
    final int xRows;
    final Struct<CombineParams>.Array index;
    final Struct<CombineParams>.Array weight;
    final Struct<CombineParams>.Matrix x;
    final Struct<CombineParams>.Matrix residual;
    final Struct<CombineParams>.Matrix y;

    Combine(Arena arena) {
      struct = arena.struct(CombineParams.class, CombineParams::new);
      tokens = struct.offset("tokens");
      cols = struct.offset("cols");
      terms = struct.offset("terms");
      xRows = struct.offset("x_rows");
      index = struct.array("index");
      weight = struct.array("weight");
      x = struct.matrix("x");
      residual = struct.matrix("residual");
      y = struct.matrix("y");
    }
  }

  void combine(Op.Combine op) {
    int count = op.index().length;
    staging.begin(Staging.size(count, Integer.BYTES) + Staging.size(count, Float.BYTES));
    combine.struct.setLong(combine.tokens, op.y().rows());
    combine.struct.setLong(combine.cols, op.y().columns());
    combine.struct.setInt(combine.terms, op.terms());
    combine.struct.setLong(combine.xRows, op.x().rows());
    combine.index.set(staging.put(op.index()), count);
    combine.weight.set(staging.put(op.weight()), count);
    combine.x.set((NativeTensor) op.x());
    combine.residual.set((NativeTensor) op.residual());
    combine.y.set((NativeTensor) op.y());
    queue.add(lanes.LANES_CALL_COMBINE, combine.struct);
  }

  void sample(Op.Sample op) {
    sample.sample(op);
  }

  void topLogProbabilities(Op.TopLogProbabilities op) {
    sample.top(op);
  }
}
