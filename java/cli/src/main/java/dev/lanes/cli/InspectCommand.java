package dev.lanes.cli;

import dev.lanes.Lanes;
import dev.lanes.MemoryFootprint;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import dev.lanes.format.QuantizationConfig;
import dev.lanes.format.TensorInfo;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanes inspect}: what a model is and what a context costs, from its headers alone. */
@Command(name = "inspect", mixinStandardHelpOptions = true, sortOptions = false,
    description = "Shows a model's architecture, tensors and bytes, and what a context of --context tokens costs; loads nothing.")
final class InspectCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ModelOptions modelOptions;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  InspectCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    Path directory = modelOptions.directory();
    ModelConfig config = ModelConfig.load(directory);
    MemoryFootprint memory = Lanes.footprint(directory, modelOptions.loadOptions().build());
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      if (json) {
        console.json(json(config, checkpoint, memory));
      } else {
        print(config, checkpoint, memory);
      }
    }
    return ExitCode.OK;
  }

  private static Map<String, Object> architecture(ModelConfig config) {
    ModelConfig.Attention attention = config.attention();
    Map<String, Object> items = new LinkedHashMap<>();
    items.put("architecture", config.architecture());
    items.put("layers", config.layers());
    items.put("hiddenSize", config.hiddenSize());
    items.put("intermediateSize", config.intermediateSize());
    items.put("heads", attention.heads());
    items.put("kvHeads", attention.kvHeads());
    items.put("headDim", attention.headDim());
    items.put("vocabSize", config.vocabSize());
    items.put("maxPositions", config.maxPositions());
    items.put("activation", config.activation().name());
    items.put("tieWordEmbeddings", config.tieWordEmbeddings());
    config.rope().ifPresent(rope -> items.put("rope", rope.type() + " theta " + rope.theta()));
    int window = attention.slidingWindows().stream().mapToInt(Integer::intValue).max().orElse(0);
    if (window > 0) {
      items.put("slidingWindow", window);
    }
    config.quantization().ifPresent(quantization -> items.put("quantization", "W8A8, inputs " + quantization.groups().stream()
        .map(group -> group.scheme().inputs() == QuantizationConfig.InputScale.TOKEN ? "by token" : "with stored scales").distinct()
        .collect(Collectors.joining(" and "))));
    config.experts().ifPresent(experts -> items.put("experts", experts.perToken() + " of " + experts.count()));
    return items;
  }

  private static long parameters(Checkpoint checkpoint) {
    return checkpoint.tensors().stream().mapToLong(TensorInfo::elements).sum();
  }

  private static Map<String, Object> json(ModelConfig config, Checkpoint checkpoint, MemoryFootprint memory) {
    Map<String, Object> json = architecture(config);
    json.put("parameters", parameters(checkpoint));
    json.put("checkpointBytes", checkpoint.totalBytes());
    json.put("weightBytes", memory.weightBytes());
    json.put("contextLength", memory.contextLength());
    json.put("cacheBytesPerToken", memory.cacheBytesPerToken());
    json.put("contextBytes", contextBytes(memory));
    json.put("scratchBytes", memory.scratchBytes());
    json.put("memory", memory.memory());
    json.put("availableBytes", memory.availableBytes());
    json.put("tensors", checkpoint.tensors().stream().map(tensor -> {
      Map<String, Object> item = new LinkedHashMap<>();
      item.put("name", tensor.name());
      item.put("dtype", tensor.dtype().name());
      item.put("shape", tensor.shape());
      item.put("bytes", tensor.bytes());
      return item;
    }).toList());
    return json;
  }

  private static long contextBytes(MemoryFootprint memory) {
    return memory.cacheBytesPerToken() * memory.contextLength();
  }

  private void print(ModelConfig config, Checkpoint checkpoint, MemoryFootprint memory) {
    architecture(config).forEach((name, value) -> console.line("%-20s %s", name, value));
    console.line("%-20s %,d", "parameters", parameters(checkpoint));
    Map<String, Long> byType = new TreeMap<>();
    List<TensorInfo> tensors = checkpoint.tensors();
    tensors.forEach(tensor -> byType.merge(tensor.dtype().name(), tensor.bytes(), Long::sum));
    console.line("%-20s %d tensors, %s %s", "checkpoint", tensors.size(), Console.bytes(checkpoint.totalBytes()), byType.keySet());
    console.line("");
    console.line("%-64s %-6s %-18s %s", "tensor", "type", "shape", "bytes");
    tensors.forEach(tensor -> console.line("%-64s %-6s %-18s %,d", tensor.name(), tensor.dtype(),
        Arrays.toString(tensor.shape()), tensor.bytes()));
    console.line("");
    console.line("A context of %,d tokens costs %s of keys and values (%,d bytes a token).", memory.contextLength(),
        Console.bytes(contextBytes(memory)), memory.cacheBytesPerToken());
    console.line("Loaded it takes %s: weights %s + cache %s (%,d tokens) + buffers %s; %s of %s are free.", Console.bytes(memory.totalBytes()),
        Console.bytes(memory.weightBytes()), Console.bytes(memory.cacheBytes()), memory.cacheTokens(),
        Console.bytes(memory.scratchBytes()), Console.bytes(memory.availableBytes()), memory.memory());
  }
}
