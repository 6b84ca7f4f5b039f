#include "abi/check.h"

using namespace lanes;

namespace {

int32_t RunCall(lanes_runtime* runtime, const lanes_call& call) {
  switch (call.kind) {
    case LANES_CALL_EMBED:
      return lanes_embed(runtime, static_cast<const lanes_embed_params*>(call.params));
    case LANES_CALL_LINEAR:
      return lanes_linear(runtime, static_cast<const lanes_linear_params*>(call.params));
    case LANES_CALL_NORM:
      return lanes_norm(runtime, static_cast<const lanes_norm_params*>(call.params));
    case LANES_CALL_ROPE_TABLE:
      return lanes_rope_table(runtime, static_cast<const lanes_rope_table_params*>(call.params));
    case LANES_CALL_ROPE:
      return lanes_rope(runtime, static_cast<const lanes_rope_params*>(call.params));
    case LANES_CALL_KV_WRITE:
      return lanes_kv_write(runtime, static_cast<const lanes_kv_write_params*>(call.params));
    case LANES_CALL_ATTENTION:
      return lanes_attention(runtime, static_cast<const lanes_attention_params*>(call.params));
    case LANES_CALL_GATE:
      return lanes_gate(runtime, static_cast<const lanes_gate_params*>(call.params));
    case LANES_CALL_GATHER:
      return lanes_gather(runtime, static_cast<const lanes_gather_params*>(call.params));
    case LANES_CALL_ROUTE:
      return lanes_route(runtime, static_cast<const lanes_route_params*>(call.params));
    case LANES_CALL_SAMPLE:
      return lanes_sample(runtime, static_cast<const lanes_sample_params*>(call.params));
    case LANES_CALL_TOP_LOG_PROBABILITIES:
      return lanes_top_log_probabilities(runtime, static_cast<const lanes_top_log_probabilities_params*>(call.params));
    default:
      return lanes_combine(runtime, static_cast<const lanes_combine_params*>(call.params));
  }
}

// A struct needs the alignment of its widest field, not of its size.
void CheckCalls(const lanes_call* calls, uint64_t count) {
  if (count == 0) return;
  if (calls == nullptr) ThrowInvalid("calls is NULL");
  CheckAligned(calls, alignof(lanes_call), "calls");
  if (count > INT64_MAX / sizeof(lanes_call)) ThrowInvalid("calls: %llu of them do not fit memory", static_cast<unsigned long long>(count));
}

}  // namespace

int32_t lanes_run(lanes_runtime* runtime, const lanes_call* calls, uint64_t count) {
  return Guard("lanes_run", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    CheckCalls(calls, count);
    for (uint64_t i = 0; i < count; ++i) {
      CheckRange(calls[i].kind, LANES_CALL_EMBED, LANES_CALL_TOP_LOG_PROBABILITIES, "calls[].kind");
      CheckRange(calls[i].reserved, 0, 0, "calls[].reserved");
    }
    Run run(*pinned);
    for (uint64_t i = 0; i < count; ++i) {
      if (i > 0) run.Yield();
      const int32_t status = RunCall(runtime, calls[i]);
      if (status == LANES_OK) continue;
      const Error error(status, LastError());
      run.End();
      throw error;
    }
    run.End();
  });
}
