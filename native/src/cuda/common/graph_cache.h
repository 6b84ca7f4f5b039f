// Lists that came before, as CUDA graphs: the second time a list comes it is captured, from then on it is one launch.
#ifndef LANES_CUDA_COMMON_GRAPH_CACHE_H_
#define LANES_CUDA_COMMON_GRAPH_CACHE_H_

#include <cstdint>
#include <list>
#include <vector>

#include "cuda/common/health.h"
#include "cuda/common/launch_list.h"

namespace lanes::cuda {

class GraphCache {
 public:
  explicit GraphCache(Health& health) : health_(health) {}
  ~GraphCache() { Clear(nullptr); }
  GraphCache(const GraphCache&) = delete;
  GraphCache& operator=(const GraphCache&) = delete;

  // Puts the list on the stream, which the caller may use alone. `epoch` is that of the memory: graphs of another one are dropped.
  void Run(const LaunchList& list, uint64_t epoch, bool overlap, cudaStream_t stream);

  // Drops all, when the stream has done with them; null: it has.
  void Clear(cudaStream_t stream);

 private:
  struct Entry {
    uint64_t hash;
    std::vector<unsigned char> bytes;  // the list's
    cudaGraphExec_t graph;             // null until the list comes again
    bool refused;                      // by the driver: it runs without a graph
  };
  Entry* Find(uint64_t hash, const LaunchList& list);
  void Remember(uint64_t hash, const LaunchList& list, cudaStream_t stream);
  void Capture(Entry* entry, const LaunchList& list, bool overlap, cudaStream_t stream);

  Health& health_;
  uint64_t epoch_ = 0;
  std::list<Entry> entries_;  // used last, first
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_GRAPH_CACHE_H_
