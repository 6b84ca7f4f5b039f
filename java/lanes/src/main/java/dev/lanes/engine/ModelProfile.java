package dev.lanes.engine;

/**
 * Where the time of a model's steps went since it was loaded, or since the last {@code reset}.
 *
 * @param prefill steps with at least one part of a prompt of more than one token
 * @param decode steps of single tokens
 */
public record ModelProfile(StepProfile prefill, StepProfile decode) {}
