package dev.lanes.backend.jni;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** A raw native address as a JavaCPP pointer that owns nothing. */
final class Address extends Pointer {
  Address(long address) {
    super((Pointer) null);
    this.address = address;
  }

  static FloatPointer floats(long address) {
    return new FloatPointer(new Address(address));
  }
}
