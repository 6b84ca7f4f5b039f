package dev.lanes.quantize;

import dev.lanes.backend.Activation;
import dev.lanes.backend.Compute;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Quantizer;
import dev.lanes.backend.Tensor;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.FloatTensors;
import dev.lanes.format.TensorInfo;
import dev.lanes.model.LinearGroup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;

/** Chooses how far a group's outliers move from its activations into its weights, and rounds the weights. */
final class GroupQuantizer {
  /** Exponents that are tried where none is given. */
  private static final double[] ALPHAS = {0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
  /** Calibration rows that the errors are measured on. */
  static final int ERROR_ROWS = 256;

  private final Checkpoint checkpoint;
  private final Matrices matrices;
  private final Spool spool;
  private final OptionalDouble alpha;
  private final Rounding rounding;

  GroupQuantizer(Checkpoint checkpoint, Matrices matrices, Spool spool, OptionalDouble alpha, Rounding rounding) {
    this.checkpoint = checkpoint;
    this.matrices = matrices;
    this.spool = spool;
    this.alpha = alpha;
    this.rounding = rounding;
  }

  /** A way to smooth, and the error it leaves. */
  private static final class Candidate {
    final double alpha;
    final float[] scales;
    final float[] channels;
    double error;

    Candidate(LinearGroup.Source source, double alpha, float[] scales) {
      this.alpha = alpha;
      this.scales = scales;
      this.channels = Smoothing.byChannel(source, scales);
    }
  }

  /** @param activations what calibration saw; null without calibration */
  QuantizedGroup quantize(LinearGroup group, Activations activations) {
    Candidate plain = new Candidate(group.source(), 0, Smoothing.none(group.source()));
    boolean calibrated = activations != null && activations.count() > 0;
    List<Candidate> candidates = calibrated ? candidates(group, activations, plain) : List.of(plain);
    if (calibrated) {
      measure(group, activations, candidates);
    } else {
      plain.error = Double.NaN;
    }
    // A fixed exponent is used, whatever comes out; otherwise the best one.
    Candidate chosen = alpha.isPresent() ? candidates.get(candidates.size() - 1)
        : candidates.stream().min((a, b) -> Double.compare(a.error, b.error)).orElseThrow();
    Gptq gptq = rounding == Rounding.GPTQ && calibrated ? new Gptq(moments(activations, chosen.channels), group.columns()) : null;
    List<Spool.Entry> entries = new ArrayList<>();
    double error = 0;
    for (List<String> fused : group.fused()) {
      float[] weights = read(fused, group.columns());
      int rows = weights.length / group.columns();
      PackedWeight exact = gptq == null ? null : matrices.weight(weights, rows, group.columns(), false);
      scaleColumns(weights, chosen.channels);
      Rounding.Rounded rounded = gptq == null ? Rounding.nearest(weights, rows, group.columns()) : gptq.round(weights, rows);
      if (exact != null) {
        error += error(exact, rounded, chosen, activations) / group.fused().size();
        exact.close();
      }
      int row = 0;
      for (String module : fused) {
        int count = (int) weightOf(module).dim(0);
        entries.add(spool.add(rounded, row, count, group.columns()));
        row += count;
      }
    }
    return new QuantizedGroup(group, chosen.scales, chosen.alpha, plain.error, gptq == null ? chosen.error : error, entries);
  }

  private List<Candidate> candidates(LinearGroup group, Activations activations, Candidate plain) {
    List<Candidate> all = new ArrayList<>(List.of(plain));
    if (alpha.isPresent() && alpha.getAsDouble() == 0) {
      return all;
    }
    float[] weightPeak = new float[group.columns()];
    for (String module : group.modules()) {
      float[] weights = read(List.of(module), group.columns());
      for (int i = 0; i < weights.length; i++) {
        int c = i % group.columns();
        weightPeak[c] = Math.max(weightPeak[c], Math.abs(weights[i]));
      }
    }
    for (double exponent : alpha.isPresent() ? new double[] {alpha.getAsDouble()} : ALPHAS) {
      float[] scales = Smoothing.scales(group.source(), activations.peak(), weightPeak, exponent);
      all.add(new Candidate(group.source(), exponent, representable(group.source(), scales)));
    }
    return all;
  }

  /** Scales that leave the norm's weights numbers of their type, so that storing them rounds nothing. */
  private float[] representable(LinearGroup.Source source, float[] scales) {
    if (!source.norm()) {
      return scales;
    }
    TensorInfo tensor = weightOf(source.module());
    float[] norm = FloatTensors.read(checkpoint, tensor);
    float[] exact = new float[scales.length];
    for (int i = 0; i < exact.length; i++) {
      float scaled = FloatTensors.round(tensor.dtype(), norm[i] / scales[i]);
      boolean usable = scaled != 0 && Math.abs(scaled) < Float.POSITIVE_INFINITY;
      exact[i] = usable ? norm[i] / scaled : 1;
    }
    return exact;
  }

  private void measure(LinearGroup group, Activations activations, List<Candidate> candidates) {
    for (List<String> fused : group.fused()) {
      float[] weights = read(fused, group.columns());
      int rows = weights.length / group.columns();
      try (PackedWeight exact = matrices.weight(weights, rows, group.columns(), false)) {
        for (Candidate candidate : candidates) {
          float[] scaled = weights.clone();
          scaleColumns(scaled, candidate.channels);
          candidate.error += error(exact, Rounding.nearest(scaled, rows, group.columns()), candidate, activations) / group.fused().size();
        }
      }
    }
  }

  /** Mean squared error of a matrix's outputs relative to their mean square. */
  private double error(PackedWeight exact, Rounding.Rounded rounded, Candidate candidate, Activations activations) {
    int columns = activations.columns();
    int count = Math.min(ERROR_ROWS, activations.count());
    float[] x = Arrays.copyOf(activations.rows(), count * columns);
    float[] divided = divided(activations, candidate.channels, count);
    try (Tensor original = matrices.tensor(x, count, columns);
        Tensor smooth = matrices.tensor(divided, count, columns);
        PackedWeight int8 = matrices.weight(rounded, exact.rows(), columns);
        Tensor expected = matrices.backend().tensor(MemoryTag.SCRATCH, count, exact.rows());
        Tensor found = matrices.backend().tensor(MemoryTag.SCRATCH, count, exact.rows())) {
      matrices.backend().linear(new Op.Linear(original, exact, null, null, Activation.NONE, Compute.EXACT, expected));
      matrices.backend().linear(new Op.Linear(smooth, int8, null, null, Activation.NONE, Compute.INT8, found));
      float[] y = expected.toArray();
      float[] z = found.toArray();
      double energy = 0;
      double error = 0;
      for (int i = 0; i < y.length; i++) {
        energy += (double) y[i] * y[i];
        error += ((double) z[i] - y[i]) * ((double) z[i] - y[i]);
      }
      return energy == 0 ? 0 : error / energy;
    }
  }

  private static float[] divided(Activations activations, float[] channels, int count) {
    float[] divided = Arrays.copyOf(activations.rows(), count * channels.length);
    for (int i = 0; i < divided.length; i++) {
      divided[i] /= channels[i % channels.length];
    }
    return divided;
  }

  /** [columns * columns]: second moments of the activations as the int8 layer reads them. */
  private float[] moments(Activations activations, float[] channels) {
    int columns = channels.length;
    int count = activations.count();
    float[] rows = divided(activations, channels, count);
    float[] transposed = new float[rows.length];
    for (int row = 0; row < count; row++) {
      float scale = Quantizer.scale(rows, row * columns, columns);
      for (int c = 0; c < columns; c++) {
        int i = row * columns + c;
        rows[i] = scale * Quantizer.element(rows[i], scale, -Quantizer.LEVELS);
        transposed[c * count + row] = rows[i];
      }
    }
    try (Tensor x = matrices.tensor(transposed, columns, count);
        PackedWeight weight = matrices.weight(rows, columns, count, true);
        Tensor y = matrices.backend().tensor(MemoryTag.SCRATCH, columns, columns)) {
      matrices.backend().linear(new Op.Linear(x, weight, null, null, Activation.NONE, Compute.EXACT, y));
      return y.toArray();
    }
  }

  private static void scaleColumns(float[] weights, float[] channels) {
    for (int i = 0; i < weights.length; i++) {
      weights[i] *= channels[i % channels.length];
    }
  }

  private TensorInfo weightOf(String module) {
    return checkpoint.tensor(module + ".weight");
  }

  /** [rows * columns] of these modules, one below the other. */
  private float[] read(List<String> modules, int columns) {
    long elements = modules.stream().mapToLong(module -> weightOf(module).elements()).sum();
    float[] all = new float[Math.toIntExact(elements)];
    int offset = 0;
    for (String module : modules) {
      float[] one = FloatTensors.read(checkpoint, weightOf(module));
      System.arraycopy(one, 0, all, offset, one.length);
      offset += one.length;
    }
    return all;
  }
}
