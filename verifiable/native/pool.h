// Threads that share numbered tasks. Which thread takes which task changes no bit.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "machine.h"

namespace verifiable {

// Rounds to nearest and keeps subnormals while it lives, whatever another library has set.
class FloatMode {
  public:
    FloatMode();
    ~FloatMode();
    FloatMode(const FloatMode&) = delete;

  private:
    std::uint64_t before_;
};

class Pool {
  public:
    using Work = std::function<void(i64 task, int thread)>;

    explicit Pool(int threads);
    ~Pool();
    Pool(const Pool&) = delete;

    int size() const { return (int)threads_.size() + 1; }

    // Calls `work` once for each task in 0..count; the caller works too and returns when all are
    // done. Consecutive tasks mostly go to one thread.
    void run(i64 count, const Work& work);

    // One run of a plan at a time.
    std::mutex busy;

  private:
    void serve(int thread);
    void take(int thread);

    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<std::uint64_t> round_{0};
    std::atomic<i64> next_{0};
    std::atomic<int> left_{0};
    std::atomic<bool> stop_{false};
    std::atomic<bool> no_memory_{false};
    const Work* work_ = nullptr;
    i64 count_ = 0;
    i64 grain_ = 1;
};

}  // namespace verifiable
