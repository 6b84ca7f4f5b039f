/** The native backend: the kernels of {@code lanes.h} behind the JavaCPP binding of {@code dev.lanes.kernels}. */
package dev.lanes.backend.jni;
