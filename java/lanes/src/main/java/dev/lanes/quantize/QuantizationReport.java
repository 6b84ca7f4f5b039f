package dev.lanes.quantize;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What quantizing did to a model.
 *
 * @param calibration what it was calibrated on, in words
 * @param layers each group of linear layers
 * @param quality over the part of the texts that was used for nothing else
 * @param byText the same for each text
 * @param int8Parameters weights of linear layers that became int8
 * @param linearParameters weights of all linear layers, LM head and embeddings apart
 * @param bytesBefore bytes of the float model's tensors
 * @param bytesAfter bytes of the quantized model's tensors
 * @param int8Bytes those of them that are int8 weights
 * @param budget what the choice of float layers was made for and found, in words; empty without {@link QuantizeOptions#auto()}
 */
public record QuantizationReport(String calibration, List<Layers> layers, Quality quality, List<Quality> byText, long int8Parameters,
    long linearParameters, long bytesBefore, long bytesAfter, long int8Bytes, String budget) {
  /**
   * A group of linear layers that read the same activations.
   *
   * @param modules their names
   * @param alpha exponent of smoothing; 0 for none
   * @param plainError mean squared error of their outputs over calibration rows, relative to their mean square, with weights rounded to
   *     nearest and no smoothing; NaN where calibration saw no activations
   * @param error the same as quantized
   * @param divergence mean Kullback-Leibler divergence when this group alone is quantized; NaN where it was not measured
   * @param kept names of those that stay float
   * @param why reason, or empty
   */
  public record Layers(List<String> modules, double alpha, double plainError, double error, double divergence, List<String> kept,
      String why) {
    public Layers {
      modules = List.copyOf(modules);
      kept = List.copyOf(kept);
    }
  }

  public QuantizationReport {
    layers = List.copyOf(layers);
    byText = List.copyOf(byText);
  }

  /** The report as maps, lists, strings and numbers, for JSON. What was not measured is null. */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("calibration", calibration);
    map.put("quality", quality(quality));
    map.put("qualityByText", byText.stream().map(QuantizationReport::quality).toList());
    map.put("int8Parameters", int8Parameters);
    map.put("linearParameters", linearParameters);
    map.put("bytesBefore", bytesBefore);
    map.put("bytesAfter", bytesAfter);
    map.put("int8Bytes", int8Bytes);
    map.put("budget", budget);
    map.put("layers", layers.stream().map(QuantizationReport::layers).toList());
    return map;
  }

  private static Map<String, Object> quality(Quality quality) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("tokens", quality.tokens());
    map.put("agreement", quality.agreement());
    map.put("meanDivergence", quality.meanDivergence());
    map.put("p99Divergence", quality.p99Divergence());
    map.put("perplexityBefore", quality.perplexityBefore());
    map.put("perplexityAfter", quality.perplexityAfter());
    map.put("perplexityIncrease", quality.perplexityIncrease());
    return map;
  }

  private static Map<String, Object> layers(Layers layers) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("modules", layers.modules());
    map.put("alpha", layers.alpha());
    map.put("plainError", number(layers.plainError()));
    map.put("error", number(layers.error()));
    map.put("divergence", number(layers.divergence()));
    map.put("float", layers.kept());
    map.put("why", layers.why());
    return map;
  }

  private static Double number(double value) {
    return Double.isNaN(value) ? null : value;
  }
}
