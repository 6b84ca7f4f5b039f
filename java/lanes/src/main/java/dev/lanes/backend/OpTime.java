package dev.lanes.backend;

/**
 * What one op took in some stretch of time.
 *
 * @param op the op's name, as {@link BackendInfo#implementations()} has it
 * @param nanos in the calls of {@link Backend}: checks, the way into the kernels, and {@code kernel}
 * @param kernel what the kernels themselves took; {@link KernelTime#NONE} where the backend has no clocks of its own
 */
public record OpTime(String op, long calls, long nanos, KernelTime kernel) {
  public OpTime plus(OpTime other) {
    KernelTime k = new KernelTime(kernel.calls() + other.kernel.calls(), kernel.nanos() + other.kernel.nanos(),
        kernel.waitNanos() + other.kernel.waitNanos(), kernel.idleNanos() + other.kernel.idleNanos());
    return new OpTime(op, calls + other.calls, nanos + other.nanos, k);
  }
}
