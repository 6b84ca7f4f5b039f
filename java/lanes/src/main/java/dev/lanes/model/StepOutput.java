package dev.lanes.model;

import dev.lanes.backend.Tensor;
import java.util.List;

/**
 * What a step computed. The tensors are the model's own buffers: valid until its next step.
 *
 * @param logits [logitRows, vocabulary], or null when none were asked for
 * @param hidden [tokens, hidden] after the final norm, or null
 * @param layers for {@link StepBatch.Hidden#ALL}: embedding and every layer's output, copied, each [tokens * hidden]; else empty
 */
public record StepOutput(Tensor logits, Tensor hidden, List<float[]> layers) {}
