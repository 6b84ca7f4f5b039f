#include "cuda/common/graph_cache.h"

namespace lanes::cuda {
namespace {

constexpr size_t kMostEntries = 32;

void Destroy(cudaGraphExec_t graph) {
  if (graph != nullptr) cudaGraphExecDestroy(graph);
}

}  // namespace

void GraphCache::Run(const LaunchList& list, uint64_t epoch, bool overlap, cudaStream_t stream) {
  if (epoch != epoch_) Clear(stream);
  epoch_ = epoch;
  const uint64_t hash = list.Hash();
  Entry* const entry = Find(hash, list);
  if (entry == nullptr) {
    Remember(hash, list, stream);
  } else if (entry->graph == nullptr && !entry->refused) {
    Capture(entry, list, overlap, stream);
  }
  if (entry != nullptr && entry->graph != nullptr) {
    health_.Check(cudaGraphLaunch(entry->graph, stream), "cudaGraphLaunch");
  } else {
    health_.Check(list.Run(0, list.size(), overlap, stream), "launch of a kernel");
  }
}

GraphCache::Entry* GraphCache::Find(uint64_t hash, const LaunchList& list) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->hash != hash || entry->bytes != list.bytes()) continue;
    entries_.splice(entries_.begin(), entries_, entry);
    return &*entry;
  }
  return nullptr;
}

void GraphCache::Remember(uint64_t hash, const LaunchList& list, cudaStream_t stream) {
  if (entries_.size() == kMostEntries) {
    // It may be running.
    if (entries_.back().graph != nullptr) cudaStreamSynchronize(stream);
    Destroy(entries_.back().graph);
    entries_.pop_back();
  }
  entries_.push_front({hash, list.bytes(), nullptr, false});
}

void GraphCache::Capture(Entry* entry, const LaunchList& list, bool overlap, cudaStream_t stream) {
  health_.Check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaError_t status = list.Run(0, list.size(), overlap, stream);
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  if (status == cudaSuccess) status = ended;
  if (status == cudaSuccess) status = cudaGraphInstantiate(&entry->graph, graph, 0);
  if (graph != nullptr) cudaGraphDestroy(graph);
  if (status == cudaSuccess) return;
  // Out of memory, most likely; the list runs without.
  entry->graph = nullptr;
  entry->refused = true;
  try {
    health_.Check(status, "capture of a graph");
  } catch (const Error& error) {
    if (error.status() == LANES_ERROR_DEVICE) throw;
  }
}

void GraphCache::Clear(cudaStream_t stream) {
  if (entries_.empty()) return;
  if (stream != nullptr) cudaStreamSynchronize(stream);
  for (const Entry& entry : entries_) Destroy(entry.graph);
  entries_.clear();
}

}  // namespace lanes::cuda
