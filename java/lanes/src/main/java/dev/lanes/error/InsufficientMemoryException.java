package dev.lanes.error;

/** Something does not fit into memory, or into the budget given for it; the message holds the sum that explains it. */
public class InsufficientMemoryException extends LanesException {
  private final long requiredBytes;
  private final long availableBytes;

  public InsufficientMemoryException(String message, long requiredBytes, long availableBytes) {
    super(message);
    this.requiredBytes = requiredBytes;
    this.availableBytes = availableBytes;
  }

  /** Bytes that were asked for, or -1 when that is not one number. */
  public long requiredBytes() {
    return requiredBytes;
  }

  /** Bytes that were free for it, or -1 when only the message says so. */
  public long availableBytes() {
    return availableBytes;
  }
}
