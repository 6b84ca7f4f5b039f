package dev.lanes.bench.peer;

import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.RandomData;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas_nolapack;

/** OpenBLAS' sgemm and sgemv. It has no packed weights: it packs in every call, which is part of what it costs its users. */
public final class OpenBlas implements Contender {
  private final int m;
  private final int k;
  private final int n;
  private final int threads;
  private final double work;
  private final FloatPointer x;
  private final FloatPointer y;
  private final FloatPointer[] weights;
  private int next;

  /**
   * {@code y[m, n] = x[m, k] w[n, k]^T}; sgemv when m is 1.
   *
   * @param copies weight matrices to rotate among
   * @param work what one product counts, in the case's unit
   */
  public OpenBlas(int m, int k, int n, int copies, double work, int threads) {
    this.m = m;
    this.k = k;
    this.n = n;
    this.threads = threads;
    this.work = work;
    x = new FloatPointer(RandomData.floats(Math.multiplyExact(m, k)));
    y = new FloatPointer((long) m * n);
    weights = new FloatPointer[copies];
    float[] values = RandomData.floats(Math.multiplyExact(k, n));
    for (int i = 0; i < copies; i++) {
      weights[i] = new FloatPointer(values);
    }
  }

  @Override
  public String name() {
    return m == 1 ? "OpenBLAS sgemv" : "OpenBLAS sgemm";
  }

  @Override
  public double work() {
    return work;
  }

  @Override
  public void prepare() {
    openblas_nolapack.blas_set_num_threads(threads);
  }

  @Override
  public void run() {
    FloatPointer w = weights[next];
    if (m == 1) {
      openblas_nolapack.cblas_sgemv(openblas_nolapack.CblasRowMajor, openblas_nolapack.CblasNoTrans, n, k, 1, w, k, x, 1, 0, y, 1);
    } else {
      openblas_nolapack.cblas_sgemm(
          openblas_nolapack.CblasRowMajor, openblas_nolapack.CblasNoTrans, openblas_nolapack.CblasTrans, m, n, k, 1, x, k, w, k, 0, y, n);
    }
    next = next + 1 == weights.length ? 0 : next + 1;
  }

  @Override
  public void close() {
    x.close();
    y.close();
    for (FloatPointer weight : weights) {
      weight.close();
    }
  }
}
