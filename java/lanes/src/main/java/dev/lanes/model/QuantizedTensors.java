package dev.lanes.model;

import dev.lanes.backend.FloatFormats;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.DType;
import dev.lanes.format.ModelConfig;
import dev.lanes.format.QuantizationConfig;
import dev.lanes.format.QuantizationConfig.InputScale;
import dev.lanes.format.QuantizationConfig.Scheme;
import dev.lanes.format.QuantizationConfig.WeightScale;
import dev.lanes.format.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;

/** The tensors that a quantized module has beside its weight, and the checks of their numbers. */
final class QuantizedTensors {
  private static final String WEIGHT_SCALE = ".weight_scale";
  private static final String INPUT_SCALE = ".input_scale";

  private final Checkpoint checkpoint;
  private final ModelConfig config;

  QuantizedTensors(Checkpoint checkpoint, ModelConfig config) {
    this.checkpoint = checkpoint;
    this.config = config;
  }

  /** How a linear layer is quantized; empty where it is not. */
  Optional<Scheme> schemeOf(String module, boolean conv1d) {
    Optional<Scheme> scheme = config.quantization().flatMap(q -> q.schemeOf(module, conv1d ? "Conv1D" : "Linear"));
    if (scheme.isPresent() && conv1d) {
      throw new UnsupportedModelException(config.file(), "quantization_config",
          "quantizes " + module + ", a Conv1D; only the layers of class Linear are supported");
    }
    return scheme;
  }

  /** Whether the checkpoint holds this module in quantized form. */
  boolean contains(String module) {
    return checkpoint.contains(module + WEIGHT_SCALE) && schemeOf(module, false).isPresent();
  }

  /** The scales of a module's weight, [rows, columns]. */
  WeightPlan.Scales weightScales(String module, TensorInfo weight, long rows, Scheme scheme) {
    if (weight.dtype() != DType.I8) {
      throw invalid(weight.name(), "dtype " + weight.dtype() + ", expected I8 by quantization_config");
    }
    TensorInfo scales = require(module + WEIGHT_SCALE);
    requireFloat(scales);
    boolean shaped = scheme.weights() == WeightScale.TENSOR ? scales.elements() == 1 && scales.rank() <= 2
        : scales.hasShape(rows, 1) || scales.hasShape(rows);
    if (!shaped) {
      throw invalid(scales.name(), "shape " + Arrays.toString(scales.shape()) + ", expected "
          + (scheme.weights() == WeightScale.TENSOR ? "one element" : "[" + rows + ", 1]") + " by quantization_config");
    }
    return new WeightPlan.Scales(scales, checkpoint.find(module + ".weight_zero_point").orElse(null));
  }

  /** The fixed scale of a module's inputs; 0 where each token has its own. */
  float inputScale(String module, Scheme scheme) {
    if (scheme.inputs() == InputScale.TOKEN) {
      return 0;
    }
    TensorInfo tensor = require(module + INPUT_SCALE);
    requireFloat(tensor);
    if (tensor.elements() != 1 || tensor.rank() > 2) {
      throw invalid(tensor.name(), "shape " + Arrays.toString(tensor.shape()) + ", expected one element by quantization_config");
    }
    float scale = floats(tensor, bytes(tensor))[0];
    checkScale(checkpoint, tensor, 0, scale);
    checkpoint.find(module + ".input_zero_point").ifPresent(zero -> checkZero(checkpoint, zero, bytes(zero)));
    return scale;
  }

  /** That a scale is a finite number above zero. */
  static void checkScale(Checkpoint checkpoint, TensorInfo tensor, int index, float scale) {
    if (!(scale > 0 && scale < Float.POSITIVE_INFINITY)) {
      throw new InvalidModelException(checkpoint.fileOf(tensor.name()), tensor.name(),
          "element " + index + " is " + scale + ", expected a finite number above 0");
    }
  }

  /** That all zero points are zero. */
  static void checkZero(Checkpoint checkpoint, TensorInfo tensor, ByteBuffer bytes) {
    for (int i = bytes.position(); i < bytes.limit(); i++) {
      if (bytes.get(i) != 0) {
        throw new UnsupportedModelException(checkpoint.fileOf(tensor.name()), tensor.name(),
            "element " + (i - bytes.position()) / tensor.dtype().bytes() + " is not zero; asymmetric quantization is not supported");
      }
    }
  }

  /** The elements of a tensor of floats, which lie from the buffer's position on. */
  static float[] floats(TensorInfo tensor, ByteBuffer bytes) {
    float[] values = new float[Math.toIntExact(tensor.elements())];
    ByteBuffer source = bytes.slice().order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < values.length; i++) {
      values[i] = switch (tensor.dtype()) {
        case F32 -> source.getFloat(i * Float.BYTES);
        case BF16 -> FloatFormats.fromBf16(source.getShort(i * Short.BYTES));
        case F16 -> FloatFormats.fromF16(source.getShort(i * Short.BYTES));
        default -> throw new IllegalStateException("unplanned dtype " + tensor.dtype());
      };
    }
    return values;
  }

  private ByteBuffer bytes(TensorInfo tensor) {
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes()));
    checkpoint.read(tensor, 0, bytes);
    return bytes.flip();
  }

  private TensorInfo require(String name) {
    return checkpoint.find(name).orElseThrow(() -> invalid(name, "missing tensor; the layer is quantized by quantization_config"));
  }

  private void requireFloat(TensorInfo tensor) {
    switch (tensor.dtype()) {
      case F32, BF16, F16 -> { }
      default -> throw invalid(tensor.name(), "dtype " + tensor.dtype() + ", expected F32, BF16 or F16");
    }
  }

  private InvalidModelException invalid(String tensor, String problem) {
    return new InvalidModelException(checkpoint.fileOf(tensor), tensor, problem);
  }
}
