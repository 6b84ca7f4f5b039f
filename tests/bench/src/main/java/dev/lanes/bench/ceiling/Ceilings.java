package dev.lanes.bench.ceiling;

import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.Figure;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;

/** The ceilings as contenders, so that they are measured in turn with what they bound. */
public final class Ceilings {
  private static final double GIGA = 1e9;

  /** Milliseconds of work: the start of the threads is then a small part of it. */
  private static final long ITERATIONS = 3_000_000;

  private Ceilings() {}

  /** Float32 multiply-adds, GFLOP/s. */
  public static Contender fma(int threads) {
    return compute("fp32 FMA peak", () -> Machine.fma(threads, ITERATIONS));
  }

  /** Float32 multiply-adds of 256 bits, GFLOP/s. */
  public static Contender fma256(int threads) {
    return compute("256-bit FMA peak", () -> Machine.fma256(threads, 3 * ITERATIONS));
  }

  /** Bfloat16 dot products, GFLOP/s; float32 multiply-adds where the CPU has none. */
  public static Contender bf16Dot(int threads) {
    return Machine.hasBf16Dot() ? compute("bf16 dot peak", () -> Machine.bf16Dot(threads, ITERATIONS)) : fma(threads);
  }

  /** int8 dot products, GOP/s; float32 multiply-adds where the CPU has none of 512 bits. */
  public static Contender int8Dot(int threads) {
    return Machine.hasInt8Dot() ? compute("int8 dot peak", () -> Machine.int8Dot(threads, ITERATIONS)) : fma(threads);
  }

  /** Reading memory, GB/s. */
  public static Contender read(int threads) {
    return new MemoryPass(threads, false);
  }

  /** Reading memory and writing it in place, both counted, GB/s. Above {@link #read} where the machine does both at once. */
  public static Contender update(int threads) {
    return new MemoryPass(threads, true);
  }

  /** A line for people: every ceiling with one and with {@code threads} threads, and what this CPU has no instruction for. */
  public static String summary(int threads) {
    String[] parts = {
      "fp32 FMA " + rates(Ceilings::fma, threads) + " GFLOP/s",
      "256-bit FMA " + rates(Ceilings::fma256, threads) + " GFLOP/s",
      Machine.hasBf16Dot() ? "bf16 dot " + rates(Ceilings::bf16Dot, threads) + " GFLOP/s" : "no bf16 dot",
      Machine.hasInt8Dot() ? "int8 dot " + rates(Ceilings::int8Dot, threads) + " GOP/s" : "no 512-bit int8 dot",
      "read " + rates(Ceilings::read, threads) + " GB/s",
    };
    return "ceilings with 1 / " + threads + " threads: " + String.join(", ", parts);
  }

  private static String rates(IntFunction<Contender> ceiling, int threads) {
    return String.format(Locale.ROOT, "%.1f / %.1f", rate(ceiling.apply(1)), rate(ceiling.apply(threads)));
  }

  /** The median of some runs. */
  private static double rate(Contender ceiling) {
    try (ceiling) {
      ceiling.run();
      double[] rates = new double[5];
      for (int i = 0; i < rates.length; i++) {
        long begin = System.nanoTime();
        ceiling.run();
        rates[i] = ceiling.work() / ((System.nanoTime() - begin) * 1e-9);
      }
      return Figure.of(rates).median();
    }
  }

  /**
   * A ceiling in another unit: what a bound of the machine means for a whole task.
   *
   * @param unitsPerGiga how much of the case's unit one GFLOP or GB makes
   */
  public static Contender scaled(Contender ceiling, double unitsPerGiga) {
    return new Contender() {
      @Override
      public String name() {
        return ceiling.name();
      }

      @Override
      public double work() {
        return ceiling.work() * unitsPerGiga;
      }

      @Override
      public void run() {
        ceiling.run();
      }

      @Override
      public void close() {
        ceiling.close();
      }
    };
  }

  private static Contender compute(String name, LongSupplier operations) {
    double work = operations.getAsLong() / GIGA;
    return new Contender() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public double work() {
        return work;
      }

      @Override
      public void run() {
        operations.getAsLong();
      }
    };
  }

  private static final class MemoryPass implements Contender {
    private final int threads;
    private final boolean writes;
    private final long bytes = Math.max(256L << 20, 4 * Machine.lastLevelCacheBytes());
    private long address;

    MemoryPass(int threads, boolean writes) {
      this.threads = threads;
      this.writes = writes;
      address = Machine.allocate(bytes);
      if (address == 0) {
        throw new IllegalStateException("no memory for the buffer of " + bytes + " bytes that bandwidth is measured with");
      }
    }

    @Override
    public String name() {
      return writes ? "read and write bandwidth" : "read bandwidth";
    }

    @Override
    public double work() {
      return (writes ? 2 : 1) * bytes / GIGA;
    }

    @Override
    public void run() {
      if (address == 0) {
        throw new IllegalStateException("the buffer that bandwidth is measured with is closed");
      }
      if (writes) {
        Machine.update(threads, address, bytes);
      } else {
        Machine.read(threads, address, bytes);
      }
    }

    @Override
    public void close() {
      if (address != 0) {
        Machine.free(address, bytes);
        address = 0;
      }
    }
  }
}
