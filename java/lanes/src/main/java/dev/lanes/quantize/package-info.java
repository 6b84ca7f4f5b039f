/** Makes W8A8 checkpoints: calibration, migration of outliers into weights, rounding, choice of what stays float, quality report. */
package dev.lanes.quantize;
