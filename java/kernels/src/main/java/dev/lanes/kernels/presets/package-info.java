/** How the header becomes a binding; read by the build and by the loader. */
package dev.lanes.kernels.presets;
