package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The variables of one scope (template, loop body, macro body, block), found before it is compiled.
 *
 * <p>Jinja decides statically what a name means. A name that a scope assigns is a variable of that scope; on entry it takes the value
 * of the same name outside, so an assignment in a loop body lasts until the end of the pass. A name that no scope around it assigns
 * comes from the variables of the rendering. Scopes of one function (the template, a macro, a recursive loop) share its frame; an
 * inner function sees the frames around it as closures do.
 */
final class Symbols {
  /** What has a frame of its own when it runs. */
  static final class Function {
    private final int depth;
    private int slots;

    Function(Function outer) {
      this.depth = outer == null ? 0 : outer.depth + 1;
    }

    Slot newSlot() {
      return new Slot(this, slots++);
    }

    int slots() {
      return slots;
    }
  }

  /** A variable's place in the frame of its function. */
  record Slot(Function function, int index) {
    /** How many frames out from a frame of the given function the variable lives. */
    int hops(Function from) {
      return from.depth - function.depth;
    }
  }

  /** What a variable is set to when its scope is entered. */
  sealed interface Load {
    /** Nothing: whoever enters the scope sets it. */
    record Parameter() implements Load {}

    /** The variable is unset until the scope assigns it. */
    record Unset() implements Load {}

    /** A variable of the rendering. */
    record Resolve(String name) implements Load {}

    /** The variable of the same name in a scope outside. */
    record Alias(Slot source) implements Load {}
  }

  private final Symbols parent;
  private final Function function;
  /** The slot of each name of this scope, the same for all branches of an if. */
  private final Map<String, Slot> slots;
  private final Map<String, Slot> references;
  private final Map<Slot, Load> loads;
  private final Set<String> stores;

  Symbols(Symbols parent, Function function) {
    this(parent, function, new HashMap<>(), new HashMap<>(), new LinkedHashMap<>(), new HashSet<>());
  }

  private Symbols(Symbols parent, Function function, Map<String, Slot> slots, Map<String, Slot> references, Map<Slot, Load> loads,
      Set<String> stores) {
    this.parent = parent;
    this.function = function;
    this.slots = slots;
    this.references = references;
    this.loads = loads;
    this.stores = stores;
  }

  Function function() {
    return function;
  }

  Map<Slot, Load> loads() {
    return loads;
  }

  /** The variable that a name means here, or null if no scope knows the name. */
  Slot find(String name) {
    Slot slot = references.get(name);
    return slot != null || parent == null ? slot : parent.find(name);
  }

  private Slot define(String name, Load load) {
    Slot slot = slots.computeIfAbsent(name, n -> function.newSlot());
    references.put(name, slot);
    loads.put(slot, load);
    return slot;
  }

  void load(String name) {
    if (find(name) == null) {
      define(name, new Load.Resolve(name));
    }
  }

  void store(String name) {
    stores.add(name);
    if (!references.containsKey(name)) {
      Slot outer = parent == null ? null : parent.find(name);
      define(name, outer == null ? new Load.Unset() : new Load.Alias(outer));
    }
  }

  Slot declareParameter(String name) {
    stores.add(name);
    return define(name, new Load.Parameter());
  }

  /** A copy for one branch of an if. */
  Symbols branch() {
    return new Symbols(parent, function, slots, new HashMap<>(references), new LinkedHashMap<>(loads), new HashSet<>(stores));
  }

  /** Takes over what the branches of an if assign; such a name may also keep the value it would have had without the if. */
  void merge(List<Symbols> branches) {
    Set<String> assigned = new HashSet<>();
    branches.forEach(branch -> assigned.addAll(branch.stores));
    assigned.removeAll(stores);
    for (Symbols branch : branches) {
      references.putAll(branch.references);
      loads.putAll(branch.loads);
      stores.addAll(branch.stores);
    }
    for (String name : assigned) {
      Slot outer = parent == null ? null : parent.find(name);
      loads.put(find(name), outer == null ? new Load.Resolve(name) : new Load.Alias(outer));
    }
  }

  /** Finds the names of statements or expressions of this scope; inner scopes find their own when they are compiled. */
  void analyze(List<? extends Node> nodes) {
    nodes.forEach(this::analyze);
  }

  /** @see #analyze(List) */
  void analyze(Node node) {
    if (node instanceof Node.Name name) {
      switch (name.use()) {
        case LOAD -> load(name.name());
        case STORE -> store(name.name());
        case PARAMETER -> declareParameter(name.name());
      }
    } else if (node instanceof Node.NamespaceTarget target) {
      load(target.name());
    } else if (node instanceof Node.If branching) {
      analyzeIf(branching);
    } else if (node instanceof Node.Macro macro) {
      store(macro.name());
    } else if (node instanceof Node.Assign assign) {
      analyze(assign.value());
      analyze(assign.target());
    } else if (node instanceof Node.For loop) {
      analyze(loop.iterable());
    } else if (node instanceof Node.CallBlock block) {
      if (block.call() != null) {
        analyze(block.call());
      }
    } else if (node instanceof Node.FilterBlock block) {
      analyze(block.filter());
    } else if (node instanceof Node.With with) {
      analyze(with.values());
    } else if (node instanceof Node.AssignBlock block) {
      analyze(block.target());
    } else {
      analyze(node.children());
    }
  }

  private void analyzeIf(Node.If node) {
    analyze(node.test());
    List<Symbols> branches = new ArrayList<>();
    for (List<? extends Node> nodes : List.of(node.body(), node.elifs(), node.otherwise())) {
      Symbols branch = branch();
      branch.analyze(nodes);
      branches.add(branch);
    }
    merge(branches);
  }

  /** Declares the names of a loop target as parameters. */
  void declareTarget(Node target) {
    if (target instanceof Node.Name name) {
      declareParameter(name.name());
    } else {
      target.children().forEach(this::declareTarget);
    }
  }

  /** Which of the names some nodes use before they assign them. */
  static Set<String> undeclared(List<? extends Node> nodes, Set<String> names) {
    Set<String> undeclared = new HashSet<>();
    Set<String> open = new HashSet<>(names);
    nodes.forEach(node -> findUndeclared(node, open, undeclared));
    return undeclared;
  }

  private static void findUndeclared(Node node, Set<String> open, Set<String> undeclared) {
    if (node instanceof Node.Name name) {
      if (name.use() == Node.Use.LOAD && open.contains(name.name())) {
        undeclared.add(name.name());
      } else {
        open.remove(name.name());
      }
    }
    node.children().forEach(child -> findUndeclared(child, open, undeclared));
  }
}
