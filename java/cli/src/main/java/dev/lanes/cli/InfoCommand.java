package dev.lanes.cli;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.error.DeviceFailedException;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.error.NativeException;
import dev.lanes.format.ModelConfig;
import dev.lanes.backend.SystemMemory;
import dev.lanes.model.ComputeChoice;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lanes info}: what this machine has and what Lanes makes of it. */
@Command(name = "info", mixinStandardHelpOptions = true, sortOptions = false,
    description = "Shows the machine, the backends and why each is or is not available, and the implementation of every kernel.")
final class InfoCommand implements Callable<Integer> {
  private final Console console;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  InfoCommand(Console console) {
    this.console = console;
  }

  /**
   * A way to run ops, or the reason it cannot be had.
   *
   * @param availableBytes free where its weights, keys and values would lie
   */
  private record Candidate(String name, BackendInfo info, long availableBytes, String problem) {
    String describe() {
      if (info == null) {
        return "no: " + problem;
      }
      return info.isGpu() ? "yes: " + info.device() + ", " + Console.bytes(availableBytes) + " free" : "yes";
    }

    Map<String, Object> json() {
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("name", name);
      json.put("available", info != null);
      json.put("why", info != null ? info.why() : problem);
      if (info != null) {
        json.put("device", info.device());
        json.put("library", info.library());
        json.put("isa", info.isa());
        json.put("threads", info.threads());
        json.put("bf16Dot", info.bf16Dot());
        json.put("availableBytes", availableBytes);
        json.put("implementations", new TreeMap<>(info.implementations()));
      }
      return json;
    }
  }

  @Override
  public Integer call() {
    Candidate chosen;
    try (Backend backend = Backends.open()) {
      chosen = new Candidate(backend.info().name(), backend.info(), backend.availableBytes(), null);
    }
    List<Candidate> candidates = new ArrayList<>(gpus());
    for (BackendOptions.Isa isa : new BackendOptions.Isa[] {
        BackendOptions.Isa.AVX512, BackendOptions.Isa.AVX2, BackendOptions.Isa.NEON, BackendOptions.Isa.REFERENCE}) {
      candidates.add(candidate("cpu " + isa.name().toLowerCase(Locale.ROOT),
          BackendOptions.defaults().withDevice(BackendOptions.Device.CPU).withIsa(isa)));
    }
    candidates.add(candidate("reference (Java)", BackendOptions.defaults().withDevice(BackendOptions.Device.REFERENCE)));
    if (json) {
      console.json(json(chosen, candidates));
    } else {
      print(chosen, candidates);
    }
    return ExitCode.OK;
  }

  /** All of them, or why there is none. */
  private static List<Candidate> gpus() {
    List<Candidate> gpus = new ArrayList<>();
    for (int i = 0; i == 0 || gpus.get(i - 1).info() != null; i++) {
      gpus.add(candidate("cuda:" + i, BackendOptions.defaults().withDevice(BackendOptions.Device.CUDA).withDeviceIndex(i)));
    }
    return gpus.size() == 1 ? gpus : gpus.subList(0, gpus.size() - 1);
  }

  private static Candidate candidate(String name, BackendOptions options) {
    try (Backend backend = Backends.open(options)) {
      return new Candidate(name, backend.info(), backend.availableBytes(), null);
    } catch (NativeException | DeviceFailedException | InsufficientMemoryException e) {
      return new Candidate(name, null, 0, e.getMessage());
    }
  }

  private static Map<String, Object> json(Candidate chosen, List<Candidate> candidates) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("version", Main.Version.text());
    json.put("os", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    json.put("java", System.getProperty("java.version"));
    json.put("logicalCpus", Runtime.getRuntime().availableProcessors());
    json.put("availableBytes", SystemMemory.availableBytes());
    json.put("chosen", chosen.json());
    ComputeChoice compute = automatic(chosen.info());
    json.put("automaticCompute", new TreeMap<>(Map.of("f32", ComputeName.name(compute.of(DType.F32)), "bf16", ComputeName.name(compute.bf16()), "f16",
        ComputeName.name(compute.f16()))));
    json.put("backends", candidates.stream().map(Candidate::json).toList());
    json.put("architectures", ModelConfig.SUPPORTED_ARCHITECTURES);
    return json;
  }

  /** How a model multiplies there that nothing else is asked of. */
  private static ComputeChoice automatic(BackendInfo backend) {
    return ComputeChoice.of(Optional.empty(), backend);
  }

  private void print(Candidate choice, List<Candidate> candidates) {
    BackendInfo chosen = choice.info();
    console.line("lanes         %s", Main.Version.text());
    console.line("system        %s %s, Java %s", System.getProperty("os.name"), System.getProperty("os.arch"),
        System.getProperty("java.version"));
    console.line("machine       %d CPUs, %s of memory free", Runtime.getRuntime().availableProcessors(),
        Console.bytes(SystemMemory.availableBytes()));
    console.line("backend       %s, %s, %d threads%s", chosen.name(), chosen.isa(), chosen.threads(),
        chosen.bf16Dot() ? ", bfloat16 dot products" : "");
    console.line("              %s", chosen.why());
    console.line("              %s of %s free", Console.bytes(choice.availableBytes()), chosen.memory());
    ComputeChoice compute = automatic(chosen);
    console.line("compute auto  %s for float32 weights, %s for bfloat16, %s for float16", ComputeName.name(compute.of(DType.F32)),
        ComputeName.name(compute.bf16()), ComputeName.name(compute.f16()));
    if (!chosen.library().isEmpty()) {
      console.line("library       %s", chosen.library());
    }
    console.line("");
    console.line("available");
    for (Candidate candidate : candidates) {
      console.line("  %-18s %s", candidate.name(), candidate.describe());
    }
    console.line("");
    console.line("kernels");
    new TreeMap<>(chosen.implementations()).forEach((op, implementation) -> console.line("  %-18s %s", op, implementation));
    console.line("");
    console.line("architectures  %s", String.join(", ", ModelConfig.SUPPORTED_ARCHITECTURES));
  }
}
