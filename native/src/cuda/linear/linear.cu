// The op's table: which kernels a call takes.
#include "cuda/linear/linear.h"

#include "cuda/linear/rows.h"

namespace lanes::cuda {
namespace {

bool Aligned(const void* pointer, uintptr_t bytes = 16) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

EpilogueArgs EpilogueOf(const LinearArgs& args) {
  EpilogueArgs e = {};
  e.y = args.y;
  e.y_bf16 = args.y_bf16;
  e.y_stride = args.y_stride;
  e.residual = args.residual;
  e.residual_stride = args.residual_stride;
  e.bias = args.bias;
  e.m = args.m;
  e.n = args.weight.rows;
  e.activation = args.activation;
  const bool one = args.m == 1;
  e.vectors = Aligned(args.y) && Aligned(args.y_bf16, 8) && (args.y_stride % 4 == 0 || one) && Aligned(args.bias) && Aligned(args.residual) &&
              (args.residual == nullptr || args.residual_stride % 4 == 0 || one);
  return e;
}

GemmProblem ProblemOf(const LinearArgs& args, Products products) {
  GemmProblem problem = {};
  problem.products = products;
  problem.weight = reinterpret_cast<const unsigned char*>(args.weight.data);
  problem.row_bytes = args.weight.padded_cols * args.weight.element_bytes;
  problem.x_bytes = problem.row_bytes;
  problem.x_stride = problem.row_bytes;
  problem.epilogue = EpilogueOf(args);
  return problem;
}

bool HasBf16() { return true; }

void Run(OpContext& context, const LinearArgs& args) {
  Device& device = DeviceOf(context);
  if (!args.bf16_dot && !args.f16_dot) {
    LaunchExact(device, args, EpilogueOf(args));
    return;
  }
  GemmProblem problem = ProblemOf(args, args.bf16_dot ? Products::kBf16 : Products::kF16);
  const InputRows rows = InputOf(args);
  if (LaunchGemv(device, problem, &rows)) return;
  if (args.f16_dot) {
    problem.x = RoundF16Rows(device, args, problem.row_bytes, &problem.epilogue.x_scale);
  } else if (rows.bf16 && rows.vectors && rows.cols % 8 == 0) {
    problem.x = reinterpret_cast<const unsigned char*>(args.x_bf16);
    problem.x_bytes = rows.cols * 2;
    problem.x_stride = args.m == 1 ? problem.x_bytes : args.x_stride * 2;
  } else {
    problem.x = RoundRows(device, args, problem.row_bytes);
  }
  if (!LaunchSm90(device, problem)) LaunchGemm(device, problem);
}

void RunS8(OpContext& context, const LinearArgs& args) {
  Device& device = DeviceOf(context);
  GemmProblem problem = ProblemOf(args, Products::kS8);
  problem.epilogue.w_scale = args.weight.scales;
  if (args.xq == nullptr) {
    problem.x = QuantizeRows(device, args, problem.row_bytes, &problem.epilogue.x_scale);
  } else {
    problem.epilogue.x_scale = args.x_scale;
    if (Aligned(args.xq) && args.xq_stride % 16 == 0 && args.weight.cols % 16 == 0) {
      problem.x = reinterpret_cast<const unsigned char*>(args.xq);
      problem.x_bytes = args.weight.cols;
      problem.x_stride = args.xq_stride;
    } else {
      problem.x = CopyS8Rows(device, args, problem.row_bytes);
    }
  }
  if (LaunchGemv(device, problem, nullptr)) return;
  if (problem.row_bytes > kMostS8Sums || !LaunchSm90(device, problem)) LaunchGemm(device, problem);
}

}  // namespace

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {HasBf16, Run, RunS8};

}  // namespace lanes::cuda
