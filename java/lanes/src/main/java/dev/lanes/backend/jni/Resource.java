package dev.lanes.backend.jni;

import dev.lanes.backend.Forgotten;
import dev.lanes.backend.MemoryTag;
import dev.lanes.error.DeviceFailedException;
import dev.lanes.kernels.KvPoolHandle;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.WeightHandle;
import dev.lanes.kernels.global.lanes;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import org.bytedeco.javacpp.Pointer;

/**
 * Something native that a backend owns: a block of memory, a weight, a pool of pages. It is used, and given back, under the
 * backend's lock only, so that nothing is freed under a running op.
 */
final class Resource implements Forgotten.Resource {
  /** How a resource is given back. */
  private interface Destructor {
    int destroy();
  }

  /** The lock of a backend, and all that is live in it. */
  static final class Owner {
    /** Fair: a thread that runs one op after the other would otherwise keep a closing thread waiting for long. */
    final ReentrantLock lock = new ReentrantLock(true);
    private final Set<Resource> live = new HashSet<>();
    private Runnable beforeRelease = () -> {};

    /** What must be done before anything is given back. */
    void beforeRelease(Runnable action) {
      beforeRelease = action;
    }

    /** To be called under the lock. */
    void releaseAll() {
      for (Resource resource : Set.copyOf(live)) {
        resource.release();
      }
    }
  }

  private final Owner owner;
  private final String name;
  private final long bytes;
  private final long address;
  private final Destructor destructor;
  private boolean released;

  private Resource(Owner owner, String name, long bytes, Pointer pointer, Destructor destructor) {
    this.owner = owner;
    this.name = name;
    this.bytes = bytes;
    this.address = pointer.address();
    this.destructor = destructor;
    owner.lock.lock();
    try {
      owner.live.add(this);
    } finally {
      owner.lock.unlock();
    }
  }

  /** Zeroed memory for the tensors of a runtime, where its device computes. */
  static Resource tensor(Owner owner, RuntimeHandle runtime, String name, MemoryTag tag, long bytes) {
    Pointer pointer = new Pointer();
    Status.check(lanes.lanes_runtime_alloc(runtime, bytes, nativeTag(tag), pointer), bytes);
    return new Resource(owner, name, bytes, pointer, () -> lanes.lanes_runtime_free(runtime, pointer));
  }

  /** Zeroed memory of the host. */
  static Resource block(Owner owner, String name, MemoryTag tag, long bytes) {
    Pointer pointer = new Pointer();
    Status.check(lanes.lanes_alloc(bytes, nativeTag(tag), pointer), bytes);
    return new Resource(owner, name, bytes, pointer, () -> lanes.lanes_free(pointer));
  }

  static Resource weight(Owner owner, String name, long bytes, WeightHandle handle) {
    return new Resource(owner, name, bytes, handle, () -> lanes.lanes_weight_destroy(handle));
  }

  static Resource pool(Owner owner, String name, long bytes, KvPoolHandle handle) {
    return new Resource(owner, name, bytes, handle, () -> lanes.lanes_kv_pool_destroy(handle));
  }

  private static int nativeTag(MemoryTag tag) {
    return switch (tag) {
      case WEIGHTS -> lanes.LANES_MEMORY_WEIGHTS;
      case KV -> lanes.LANES_MEMORY_KV;
      case SCRATCH -> lanes.LANES_MEMORY_SCRATCH;
      case OTHER -> lanes.LANES_MEMORY_OTHER;
    };
  }

  long bytes() {
    return bytes;
  }

  /** The native address; to be called and used under the owner's lock. */
  long address() {
    if (released) {
      throw new IllegalStateException(name + " is closed");
    }
    return address;
  }

  @Override
  public String describe() {
    return name + " (" + bytes + " bytes)";
  }

  @Override
  public boolean release() {
    owner.lock.lock();
    try {
      if (released) {
        return false;
      }
      released = true;
      try {
        owner.beforeRelease.run();
      } catch (DeviceFailedException e) {
        // Whoever waits for the ops hears of it from them; this goes back all the same.
      } finally {
        owner.live.remove(this);
        Status.checkRelease(destructor.destroy());
      }
      return true;
    } finally {
      owner.lock.unlock();
    }
  }
}
