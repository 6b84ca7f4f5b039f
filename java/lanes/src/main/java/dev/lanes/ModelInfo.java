package dev.lanes;

import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.format.ModelConfig;
import java.nio.file.Path;

/**
 * What a loaded model is.
 *
 * @param directory where it was loaded from
 * @param config its config.json
 * @param encoder true for encoders (BERT), which embed but do not generate
 * @param hasTokenizer whether it takes text; token ids always work
 * @param hasChatTemplate whether it takes chat messages
 * @param contextLength tokens that prompt and output share
 * @param memory what it takes
 * @param backend what it runs on, and why
 * @param compute how its layers multiply, as asked for or chosen; those of a quantized model that stayed float do otherwise
 * @param cacheType element type of keys and values, as asked for or chosen
 */
public record ModelInfo(Path directory, ModelConfig config, boolean encoder, boolean hasTokenizer, boolean hasChatTemplate,
    int contextLength, MemoryFootprint memory, BackendInfo backend, Compute compute, DType cacheType) {}
