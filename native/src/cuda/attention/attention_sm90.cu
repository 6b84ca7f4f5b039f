#include "cuda/attention/sm90.h"

namespace lanes::cuda {

// No head dimension has a kernel here yet: the portable path serves all.
int32_t Sm90Rows(const DeviceLimits&, const KvLayout&) { return 0; }
bool LaunchSm90(Device&, const AttentionArgs&, const RowBlock*, int32_t) { return false; }

}  // namespace lanes::cuda
