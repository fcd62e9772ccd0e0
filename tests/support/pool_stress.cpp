// The thread pool under load, for ThreadSanitizer: several callers at once, loops inside loops, exceptions, a fork.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/thread_pool.h"

using fastsr::cpu::parallel_for;

namespace {

// Sum of 0..count-1, each added by whichever thread has it; `inner` loops are started from inside.
int64_t sum_of(int64_t count, int64_t inner) {
  std::vector<int64_t> squares(static_cast<size_t>(count));  // written without locks: ranges must be disjoint
  std::atomic<int64_t> total{0};
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      squares[static_cast<size_t>(i)] = i;
      if (inner > 0) total += sum_of(inner, 0);
    }
  });
  for (const int64_t value : squares) total += value;
  return total;
}

// What `meanwhile` throws comes out of a call that waits for another thread, which learns of it.
bool stops_while_waiting() {
  std::atomic<bool> helped{false}, stopped{false};
  const auto body = [&](int64_t, int64_t) {
    if (fastsr::cpu::thread_index() == 0) return;
    helped = true;
    while (!stopped) std::this_thread::yield();
  };
  const auto stop = [&] {
    stopped = true;
    throw std::runtime_error("stop");
  };
  try {
    parallel_for(2, 1, body, stop);
  } catch (const std::runtime_error&) {
    return helped;
  }
  return !helped;
}

bool work(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const int64_t count = 1 + round % 37, inner = round % 5;
    if (sum_of(count, inner) != count * (count - 1) / 2 + count * inner * (inner - 1) / 2) return false;
    bool thrown = false;
    try {
      parallel_for(8, 1, [](int64_t begin, int64_t end) {
        if (begin <= 3 && 3 < end) throw std::runtime_error("three");
      });
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    if (!thrown) return false;
    if (round % 16 == 0 && !stops_while_waiting()) return false;
    if (round % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // let the pool fall asleep
  }
  return true;
}

}  // namespace

int main(int argc, char**) {
  std::atomic<bool> right{true};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      if (!work(200)) right = false;
    });
  }
  for (std::thread& caller : callers) caller.join();
  if (argc > 1) {  // ThreadSanitizer does not follow threads into a forked child
    const pid_t child = fork();
    if (child == 0) _exit(work(20) ? 0 : 1);
    int status = 1;
    if (waitpid(child, &status, 0) != child || status != 0) right = false;
  }
  std::puts(right ? "right" : "wrong");
  return right ? 0 : 1;
}
