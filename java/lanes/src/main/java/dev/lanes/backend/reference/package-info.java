/** The pure-Java backend: plain loops for every op. Fallback where no native library fits, and an independent oracle of the kernels. */
package dev.lanes.backend.reference;
