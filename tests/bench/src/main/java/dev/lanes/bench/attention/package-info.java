/** Cases of the fused attention: prefill and decode. */
package dev.lanes.bench.attention;
