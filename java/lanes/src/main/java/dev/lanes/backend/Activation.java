package dev.lanes.backend;

/** Elementwise activations. */
public enum Activation {
  NONE,
  SILU,
  /** {@code x * Phi(x)} with the error function. */
  GELU,
  /** The tanh approximation of GELU; {@code gelu_new} in GPT-2's configuration. */
  GELU_TANH,
  RELU,
  TANH
}
