package dev.lanes.backend;

/**
 * What the kernels of one op took, in nanoseconds.
 *
 * @param calls how often the op ran
 * @param nanos inside the kernels, from the check of the arguments to the end of the op
 * @param waitNanos of these, the calling thread had nothing left to do and waited for the others
 * @param idleNanos sum over the other threads: while work was shared, those that had not come yet or had run dry
 */
public record KernelTime(long calls, long nanos, long waitNanos, long idleNanos) {
  public static final KernelTime NONE = new KernelTime(0, 0, 0, 0);

  public KernelTime minus(KernelTime earlier) {
    return new KernelTime(calls - earlier.calls, nanos - earlier.nanos, waitNanos - earlier.waitNanos, idleNanos - earlier.idleNanos);
  }
}
