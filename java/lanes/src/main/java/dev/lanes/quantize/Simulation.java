package dev.lanes.quantize;

import dev.lanes.backend.Compute;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Tensor;
import dev.lanes.model.LinearGroup;
import dev.lanes.model.TransformerModel;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The float model with some of its linear layers computed from their int8 weights, to see what each does to the predictions. */
final class Simulation implements LinearSwitch.Handler, AutoCloseable {
  private record Slot(LinearGroup.Key group, float[] channels, PackedWeight int8) {}

  private final Matrices matrices;
  private final Map<PackedWeight, Slot> slots = new IdentityHashMap<>();
  private final Map<Integer, Tensor> inputs = new HashMap<>();
  private Set<LinearGroup.Key> enabled = Set.of();

  Simulation(TransformerModel model, Matrices matrices, Spool spool, List<QuantizedGroup> groups) {
    this.matrices = matrices;
    try {
      for (QuantizedGroup group : groups) {
        List<PackedWeight> weights = model.weights(group.group().key());
        float[] channels = group.channelScales();
        int module = 0;
        for (int i = 0; i < weights.size(); i++) {
          int count = group.group().fused().get(i).size();
          slots.put(weights.get(i), new Slot(group.group().key(), channels,
              matrices.weight(spool, group.matrices().subList(module, module + count))));
          module += count;
        }
      }
    } catch (Throwable failure) {
      close();
      throw failure;
    }
  }

  /** Which groups are int8. */
  void enable(Set<LinearGroup.Key> groups) {
    enabled = groups;
  }

  @Override
  public boolean handle(Op.Linear op) {
    Slot slot = slots.get(op.weight());
    if (slot == null || !enabled.contains(slot.group)) {
      return false;
    }
    float[] values = op.x().toArray();
    int columns = slot.channels.length;
    for (int i = 0; i < values.length; i++) {
      values[i] /= slot.channels[i % columns];
    }
    Tensor x = input(op.x().rows(), columns);
    x.copyFrom(values, 0);
    matrices.backend().linear(new Op.Linear(x, slot.int8, op.bias(), op.residual(), op.activation(), Compute.INT8, op.y()));
    return true;
  }

  private Tensor input(int rows, int columns) {
    Tensor tensor = inputs.get(columns);
    if (tensor == null || tensor.rows() < rows) {
      if (tensor != null) {
        tensor.close();
      }
      tensor = matrices.backend().tensor(MemoryTag.SCRATCH, rows, columns);
      inputs.put(columns, tensor);
    }
    return tensor.rows(0, rows);
  }

  @Override
  public void close() {
    List<AutoCloseable> all = new ArrayList<>(inputs.values());
    slots.values().forEach(slot -> all.add(slot.int8));
    inputs.clear();
    slots.clear();
    for (AutoCloseable one : all) {
      try {
        one.close();
      } catch (Exception e) {
        throw e instanceof RuntimeException runtime ? runtime : new IllegalStateException(e);
      }
    }
  }
}
