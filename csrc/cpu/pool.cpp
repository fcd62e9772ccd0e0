#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace fastsr::cpu {
namespace {

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
      const std::lock_guard<std::mutex> lock(mutex);
      if (--left == 0) done.notify_all();
    }
  }

  void wait() {
    std::unique_lock<std::mutex> lock(mutex);
    done.wait(lock, [this] { return left == 0; });
    if (error) std::rethrow_exception(error);
  }

  const int64_t count, chunk;
  const std::function<void(int64_t, int64_t)>* body;
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::condition_variable done;
  int64_t left;
  std::exception_ptr error;
};

int configured_threads() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const int allowed = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const char* asked = std::getenv("FASTSR_NUM_THREADS");
  const int wanted = asked ? std::atoi(asked) : allowed;
  return std::max(1, std::min(wanted > 0 ? wanted : allowed, allowed));
}

class Pool {
 public:
  Pool() {
    const int wanted = configured_threads();
    try {
      for (; threads_ < wanted; ++threads_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {  // a limit on threads or memory: the ones that started, and callers, suffice
    }
  }

  int threads() const { return threads_; }

  void post(const std::shared_ptr<Job>& job) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(job);
    }
    ready_.notify_all();
  }

  void retire(const std::shared_ptr<Job>& job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), job), jobs_.end());
  }

 private:
  [[noreturn]] void serve() {
    for (;;) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ready_.wait(lock, [&] { return (job = open_job()) != nullptr; });
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

void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
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
  job->wait();
}

}  // namespace fastsr::cpu
