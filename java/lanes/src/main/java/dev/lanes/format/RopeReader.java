package dev.lanes.format;

import dev.lanes.format.ModelConfig.Rope;
import dev.lanes.format.ModelConfig.RopeType;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Reads the rotary embedding of a config.json in both spellings: {@code rope_theta} + {@code rope_scaling} of transformers 4 and
 * {@code rope_parameters} of transformers 5. As there, a non-empty {@code rope_scaling} takes the place of {@code rope_parameters}.
 */
final class RopeReader {
  private static final double MAX_THETA = 1e30;
  private static final double MAX_FACTOR = 1e9;
  private static final int MAX_POSITIONS = 1 << 30;

  private final JsonFields fields;
  private final int headDim;
  private final int maxPositions;
  private final double defaultTheta;

  RopeReader(JsonFields fields, int headDim, int maxPositions, double defaultTheta) {
    this.fields = fields;
    this.headDim = headDim;
    this.maxPositions = maxPositions;
    this.defaultTheta = defaultTheta;
  }

  Rope read() {
    double theta = fields.number("rope_theta", defaultTheta, 0, MAX_THETA);
    double partial = fields.has("partial_rotary_factor") ? fields.number("partial_rotary_factor", 1, 0, 1) : 1;
    Optional<JsonFields> scaling = fields.object("rope_scaling").filter(object -> !object.isEmpty());
    if (scaling.isEmpty()) {
      scaling = fields.object("rope_parameters").filter(object -> !object.isEmpty());
    }
    if (scaling.isEmpty()) {
      return new Rope(RopeType.DEFAULT, theta, rotaryDim(fields, partial), 1, 1, 1, maxPositions);
    }
    JsonFields rope = scaling.get();
    for (String name : rope.names()) {
      if (name.equals("full_attention") || name.equals("sliding_attention")) {
        throw rope.unsupported(name, "holds RoPE parameters for one kind of layer; only one set for all layers is supported");
      }
    }
    theta = rope.number("rope_theta", theta, 0, MAX_THETA);
    int rotaryDim =
        rope.has("partial_rotary_factor")
            ? rotaryDim(rope, rope.number("partial_rotary_factor", 1, 0, 1))
            : rotaryDim(fields, partial);
    String typeField = rope.has("rope_type") ? "rope_type" : "type";
    String type = rope.text(typeField).orElse("default");
    return switch (type) {
      case "default" -> new Rope(RopeType.DEFAULT, theta, rotaryDim, 1, 1, 1, maxPositions);
      case "linear" -> new Rope(RopeType.LINEAR, theta, rotaryDim, required(rope, "factor"), 1, 1, maxPositions);
      case "llama3" -> llama3(rope, theta, rotaryDim);
      default -> throw rope.unsupported(typeField, "RoPE type \"" + type + "\" is not supported; supported: default, linear, llama3");
    };
  }

  private Rope llama3(JsonFields rope, double theta, int rotaryDim) {
    double low = required(rope, "low_freq_factor");
    double high = required(rope, "high_freq_factor");
    if (high <= low) {
      throw rope.invalid("high_freq_factor", "is " + high + ", expected more than low_freq_factor = " + low);
    }
    String field = "original_max_position_embeddings";
    OptionalInt outer = fields.optionalInteger(field, 1, MAX_POSITIONS);
    int original = outer.isPresent() ? outer.getAsInt() : rope.optionalInteger(field, 1, MAX_POSITIONS).orElse(maxPositions);
    return new Rope(RopeType.LLAMA3, theta, rotaryDim, required(rope, "factor"), low, high, original);
  }

  private static double required(JsonFields rope, String field) {
    if (!rope.has(field)) {
      throw rope.invalid(field, "is missing, expected a number");
    }
    return rope.number(field, 1, 0, MAX_FACTOR);
  }

  private int rotaryDim(JsonFields owner, double partial) {
    int dim = (int) (headDim * partial);
    if (dim == 0 || dim % 2 != 0) {
      throw partial == 1
          ? fields.invalid("head_dim", "is " + headDim + ", expected an even number: RoPE rotates pairs")
          : owner.invalid("partial_rotary_factor", "is " + partial + ", which makes " + dim + " of " + headDim
              + " elements rotate; expected an even number of them");
    }
    return dim;
  }
}
