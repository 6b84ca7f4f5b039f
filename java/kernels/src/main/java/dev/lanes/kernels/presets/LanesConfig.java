package dev.lanes.kernels.presets;

import org.bytedeco.javacpp.annotation.NoException;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * How {@code lanes.h} is bound: each params struct gets a Java class without the {@code lanes_} prefix, each opaque type a
 * {@code …Handle}; functions and constants are static members of {@code dev.lanes.kernels.global.lanes}.
 */
@Properties(
    value = @Platform(include = "lanes/lanes.h", link = "lanes"),
    target = "dev.lanes.kernels",
    global = "dev.lanes.kernels.global.lanes")
@NoException
public class LanesConfig implements InfoMapper {
  private static final String[] STRUCTS = {
      "cpu_features", "memory_stats", "device_info", "runtime_params", "runtime_info", "op_profile", "copy_params", "runtime_memory",
      "weight_params", "weight_pack_params",
      "embed_params", "linear_params", "norm_params", "rope_table_params", "rope_params", "kv_pool_params", "kv_write_params", "attention_params",
      "gate_params", "route_params", "gather_params", "combine_params", "sample_row", "sample_params",
      "top_log_probabilities_params", "call"
  };
  private static final String[] HANDLES = {"runtime", "weight", "kv_pool"};

  @Override
  public void map(InfoMap infos) {
    infos.put(new Info("LANES_API").cppTypes().annotations());
    for (String name : STRUCTS) {
      infos.put(new Info("lanes_" + name).pointerTypes(javaName(name)));
    }
    for (String name : HANDLES) {
      infos.put(new Info("lanes_" + name).pointerTypes(javaName(name) + "Handle"));
    }
  }

  /** {@code kv_pool_params} to {@code KvPoolParams}. */
  private static String javaName(String name) {
    StringBuilder result = new StringBuilder();
    for (String word : name.split("_")) {
      result.append(Character.toUpperCase(word.charAt(0))).append(word, 1, word.length());
    }
    return result.toString();
  }
}
