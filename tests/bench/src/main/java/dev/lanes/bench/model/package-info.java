/** Whole models: prefill and decode of Llama shapes with random weights, written to disk in each side's format. */
package dev.lanes.bench.model;
