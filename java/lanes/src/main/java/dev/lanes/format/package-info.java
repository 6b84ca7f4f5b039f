/** Parsing of model files: safetensors, config.json and its companions. All untrusted bytes are read and checked here, in Java. */
package dev.lanes.format;
