#include "cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastsr::cpu {
namespace {

// Rows of a frame are shared out every few microseconds. A thread that slept would be late for them, so it spins
// for a while before it does.
constexpr auto kSpinTime = std::chrono::microseconds(50);
constexpr int kSpinsPerClockRead = 32;
constexpr int kMostTestThreads = 64;
constexpr auto kMeanwhileTime = std::chrono::milliseconds(100);

template <typename Done>
bool spin_until(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kSpinsPerClockRead; ++i) {
      if (done()) return true;
#if defined(__x86_64__)
      _mm_pause();
#endif
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

thread_local int index_of_thread = 0;

// One parallel_for: ranges are claimed by whoever is free, so a busy pool only means that the caller does more itself.
struct Job {
  Job(int64_t count, int64_t chunk, const std::function<void(int64_t, int64_t)>& body)
      : count(count), chunk(chunk), body(&body), left((count + chunk - 1) / chunk) {}

  bool exhausted() const { return next.load() >= count; }

  void work() {
    for (;;) {
      const int64_t begin = next.fetch_add(chunk);
      if (begin >= count) return;
      try {
        (*body)(begin, std::min(begin + chunk, count));
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
      }
      if (left.fetch_sub(1) == 1) {
        const std::lock_guard<std::mutex> lock(mutex);
        done.notify_all();
      }
    }
  }

  void wait(const std::function<void()>& meanwhile) {
    const auto finished = [this] { return left.load() == 0; };
    if (!spin_until(finished)) {
      std::unique_lock<std::mutex> lock(mutex);
      while (meanwhile && !error && !done.wait_for(lock, kMeanwhileTime, finished)) {
        lock.unlock();
        std::exception_ptr thrown;
        try {
          meanwhile();
        } catch (...) {
          thrown = std::current_exception();
        }
        lock.lock();
        if (thrown && !error) error = thrown;
      }
      done.wait(lock, finished);
    }
    if (error) std::rethrow_exception(error);
  }

  const int64_t count, chunk;
  const std::function<void(int64_t, int64_t)>* body;
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> left;  // ranges that are not finished
  std::mutex mutex;
  std::condition_variable done;
  std::exception_ptr error;
};

int configured_threads() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const int allowed = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const char* asked = std::getenv("FASTSR_NUM_THREADS");
  const int wanted = asked ? std::atoi(asked) : allowed;
  // For tests of what more threads than cores make.
  const int most = std::getenv("FASTSR_TEST_THREADS") ? kMostTestThreads : allowed;
  return std::max(1, std::min(wanted > 0 ? wanted : allowed, most));
}

class Pool {
 public:
  Pool() {
    const int wanted = configured_threads();
    try {
      for (; threads_ < wanted; ++threads_) std::thread([this, index = threads_] { serve(index); }).detach();
    } catch (const std::system_error&) {  // a limit on threads or memory: the ones that started, and callers, suffice
    }
  }

  int threads() const { return threads_; }

  void post(const std::shared_ptr<Job>& job) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(job);
      ++posted_;
    }
    ready_.notify_all();
  }

  void retire(const std::shared_ptr<Job>& job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), job), jobs_.end());
  }

 private:
  [[noreturn]] void serve(int index) {
    index_of_thread = index;
    for (uint64_t seen = 0;;) {
      spin_until([&] { return posted_.load() != seen; });
      std::shared_ptr<Job> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ready_.wait(lock, [&] { return (job = open_job()) != nullptr; });
        seen = posted_;
      }
      job->work();
    }
  }

  std::shared_ptr<Job> open_job() {
    for (const auto& job : jobs_) {
      if (!job->exhausted()) return job;
    }
    return nullptr;
  }

  int threads_ = 1;  // the caller included
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::shared_ptr<Job>> jobs_;
  std::atomic<uint64_t> posted_{0};
};

// Never destroyed: its threads may outlive static destructors. A forked child, which has none of them, starts anew.
std::atomic<Pool*> shared_pool{nullptr};
std::mutex* creation = new std::mutex;

Pool& pool() {
  if (Pool* made = shared_pool.load()) return *made;
  const std::lock_guard<std::mutex> lock(*creation);
  if (Pool* made = shared_pool.load()) return *made;
  static const int registered = pthread_atfork(nullptr, nullptr, [] {
    creation = new std::mutex;
    shared_pool.store(nullptr);
  });
  (void)registered;
  Pool* made = new Pool;
  shared_pool.store(made);
  return *made;
}

}  // namespace

int thread_count() { return pool().threads(); }

int thread_index() { return index_of_thread; }

void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body,
                  const std::function<void()>& meanwhile) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  Pool& workers = pool();
  if (count <= grain || workers.threads() == 1) {
    body(0, count);
    return;
  }
  const int64_t chunk = std::max(grain, (count + 4 * workers.threads() - 1) / (4 * workers.threads()));
  const auto job = std::make_shared<Job>(count, chunk, body);
  workers.post(job);
  job->work();
  workers.retire(job);
  job->wait(meanwhile);
}

}  // namespace fastsr::cpu
