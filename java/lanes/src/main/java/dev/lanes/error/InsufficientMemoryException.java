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

  public long requiredBytes() {
    return requiredBytes;
  }

  public long availableBytes() {
    return availableBytes;
  }
}
