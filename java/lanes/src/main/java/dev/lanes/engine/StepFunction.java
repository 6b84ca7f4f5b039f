package dev.lanes.engine;

import dev.lanes.model.StepBatch;
import dev.lanes.model.StepOutput;

/** The model as the engine sees it. */
@FunctionalInterface
public interface StepFunction {
  StepOutput forward(StepBatch batch);
}
