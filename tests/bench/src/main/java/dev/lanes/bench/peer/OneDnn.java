package dev.lanes.bench.peer;

import dev.lanes.bench.ceiling.Machine;
import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.RandomData;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.engine;
import org.bytedeco.dnnl.global.dnnl;
import org.bytedeco.dnnl.layer_normalization_forward;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** oneDNN, with weights in the layout it chooses itself and packed before the first turn. */
public final class OneDnn implements Contender {
  /** Element types of oneDNN's matrices; results are float32 for all, of S8 after scales for the activations and each output. */
  public enum Type {
    F32(memory.data_type.f32),
    BF16(memory.data_type.bf16),
    S8(memory.data_type.s8);

    private final memory.data_type code;

    Type(memory.data_type code) {
      this.code = code;
    }
  }

  /**
   * A matrix product {@code [m, k] x [k, n]}.
   *
   * @param type of the activations and of the weights
   * @param copies weight matrices to rotate among; more than the caches hold, and the weights are cold
   */
  public record Gemm(int m, int k, int n, Type type, int copies) {}

  private final String name;
  private final double work;
  private final int threads;
  private final Deque<Pointer> owned = new ArrayDeque<>();
  private final engine cpu;
  private final stream queue;
  private primitive operation;
  private final List<IntMemoryMap> arguments = new ArrayList<>();
  private int next;

  private OneDnn(String name, double work, int threads) {
    this.name = name;
    this.work = work;
    this.threads = threads;
    cpu = own(new engine(engine.kind.cpu, 0));
    queue = own(new stream(cpu));
    // The number of threads is part of what a primitive is optimised for.
    Machine.ompThreads(threads);
  }

  /**
   * @param work what one product counts, in the case's unit
   */
  public static OneDnn gemm(Gemm gemm, double work, int threads) {
    OneDnn self = new OneDnn("oneDNN " + gemm.type().name().toLowerCase(Locale.ROOT), work, threads);
    try {
      self.prepareGemm(gemm);
      return self;
    } catch (RuntimeException e) {
      self.close();
      throw e;
    }
  }

  /** Normalisation in place of [rows, columns] with a weight, and for LayerNorm a bias. */
  public static OneDnn norm(boolean rms, int rows, int columns, double work, int threads) {
    OneDnn self = new OneDnn("oneDNN in place", work, threads);
    try {
      self.prepareNorm(rms, rows, columns);
      return self;
    } catch (RuntimeException e) {
      self.close();
      throw e;
    }
  }

  private void prepareGemm(Gemm gemm) {
    long[] x = {gemm.m(), gemm.k()};
    long[] w = {gemm.k(), gemm.n()};
    long[] y = {gemm.m(), gemm.n()};
    memory.desc source = desc(x, gemm.type().code, memory.format_tag.ab);
    memory.desc packed = desc(w, gemm.type().code, memory.format_tag.any);
    memory.desc result = desc(y, memory.data_type.f32, memory.format_tag.ab);
    boolean int8 = gemm.type() == Type.S8;
    primitive_attr attributes = own(new primitive_attr());
    if (int8) {
      attributes.set_scales_mask(dnnl.DNNL_ARG_SRC, 0);
      attributes.set_scales_mask(dnnl.DNNL_ARG_WEIGHTS, 1 << 1);
    }
    matmul.primitive_desc chosen = own(new matmul.primitive_desc(cpu, source, packed, result, attributes, false));
    operation = own(new matmul(chosen));
    // Conversion rounds: int8 need numbers of its size.
    float magnitude = int8 ? Byte.MAX_VALUE : 1;
    memory activations = converted(random(x, memory.format_tag.ab, magnitude), own(chosen.src_desc()));
    // [n, k] as checkpoints store it.
    memory weights = random(w, memory.format_tag.ba, magnitude);
    memory sourceScale = random(new long[] {1}, memory.format_tag.a, 1);
    memory weightScales = random(new long[] {gemm.n()}, memory.format_tag.a, 1);
    memory output = own(new memory(result, cpu));
    for (int copy = 0; copy < gemm.copies(); copy++) {
      IntMemoryMap map = own(new IntMemoryMap());
      map.put(dnnl.DNNL_ARG_SRC, activations);
      map.put(dnnl.DNNL_ARG_WEIGHTS, converted(weights, own(chosen.weights_desc())));
      map.put(dnnl.DNNL_ARG_DST, output);
      if (int8) {
        map.put(dnnl.DNNL_ARG_ATTR_SCALES | dnnl.DNNL_ARG_SRC, sourceScale);
        map.put(dnnl.DNNL_ARG_ATTR_SCALES | dnnl.DNNL_ARG_WEIGHTS, weightScales);
      }
      arguments.add(map);
    }
  }

  private void prepareNorm(boolean rms, int rows, int columns) {
    memory.desc shape = desc(new long[] {rows, columns}, memory.data_type.f32, memory.format_tag.ab);
    int flags = rms ? dnnl.dnnl_rms_norm | dnnl.dnnl_use_scale : dnnl.dnnl_use_scale | dnnl.dnnl_use_shift;
    layer_normalization_forward.primitive_desc chosen =
        own(new layer_normalization_forward.primitive_desc(cpu, dnnl.dnnl_forward_inference, shape, shape, 1e-5f, flags));
    operation = own(new layer_normalization_forward(chosen));
    memory data = random(new long[] {rows, columns}, memory.format_tag.ab, 1);
    IntMemoryMap map = own(new IntMemoryMap());
    map.put(dnnl.DNNL_ARG_SRC, data);
    map.put(dnnl.DNNL_ARG_DST, data);
    map.put(dnnl.DNNL_ARG_SCALE, random(new long[] {columns}, memory.format_tag.a, 1));
    if (!rms) {
      map.put(dnnl.DNNL_ARG_SHIFT, random(new long[] {columns}, memory.format_tag.a, 1));
    }
    arguments.add(map);
  }

  private memory.desc desc(long[] shape, memory.data_type type, memory.format_tag tag) {
    return own(new memory.desc(shape, type, tag));
  }

  private memory random(long[] shape, memory.format_tag tag, float magnitude) {
    memory values = own(new memory(desc(shape, memory.data_type.f32, tag), cpu));
    long count = 1;
    for (long size : shape) {
      count *= size;
    }
    try (FloatPointer data = new FloatPointer(values.get_data_handle())) {
      float[] numbers = RandomData.floats(Math.toIntExact(count));
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] *= magnitude;
      }
      data.put(numbers);
    }
    return values;
  }

  private memory converted(memory from, memory.desc layout) {
    memory to = own(new memory(layout, cpu));
    try (reorder copy = new reorder(from, to)) {
      copy.execute(queue, from, to);
    }
    queue._wait();
    return to;
  }

  private <P extends Pointer> P own(P pointer) {
    owned.push(pointer);
    return pointer;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public double work() {
    return work;
  }

  @Override
  public void prepare() {
    Machine.ompThreads(threads);
  }

  @Override
  public void run() {
    operation.execute(queue, arguments.get(next));
    queue._wait();
    next = next + 1 == arguments.size() ? 0 : next + 1;
  }

  @Override
  public void close() {
    arguments.clear();
    while (!owned.isEmpty()) {
      owned.pop().close();
    }
  }
}
