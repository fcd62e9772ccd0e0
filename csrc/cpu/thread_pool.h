// A persistent pool of threads shared by every kernel of the process.
#pragma once

#include <cstdint>
#include <functional>

namespace fastsr::cpu {

// Threads that parallel_for uses, the caller included: FASTSR_NUM_THREADS, never more than the affinity mask allows.
int thread_count();

// A number of the calling thread: 1 and up for the pool's own, 0 for all others.
int thread_index();

// Calls body(begin, end) over disjoint ranges that cover 0..count, on the caller and on idle pool threads; returns when
// all are done and rethrows the first exception. Ranges hold at least `grain` items. Safe from several threads at once
// and after fork(); a caller never waits for a thread that has not started its range. While the caller waits for others
// it calls `meanwhile` (may be empty) a few times a second; what that throws is rethrown when all are done.
void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body,
                  const std::function<void()>& meanwhile = {});

}  // namespace fastsr::cpu
