#include "pool.h"

#include <algorithm>
#include <new>

namespace verifiable {

namespace {

// How often a thread looks before it lets others have its core, and how often it does that before
// it sleeps: some 300 microseconds, since waking it costs as much as a small operation.
constexpr int SPINS = 1000, YIELDS = 600;

inline void rest(int spin) {
#if defined(__x86_64__)
    if (spin < SPINS) return _mm_pause();
#endif
    std::this_thread::yield();
}

}  // namespace

#if defined(__x86_64__)
FloatMode::FloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
FloatMode::~FloatMode() { _mm_setcsr((unsigned)before_); }
#elif defined(__aarch64__)
FloatMode::FloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(std::uint64_t{0}));
}
FloatMode::~FloatMode() { asm volatile("msr fpcr, %0" ::"r"(before_)); }
#else
FloatMode::FloatMode() : before_(0) {}
FloatMode::~FloatMode() {}
#endif

Pool::Pool(int threads) {
    for (int t = 1; t < threads; ++t) threads_.emplace_back([this, t] { serve(t); });
}

Pool::~Pool() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void Pool::run(i64 count, const Work& work) {
    if (threads_.empty() || count < 2) {
        for (i64 task = 0; task < count; ++task) work(task, 0);
        return;
    }
    {
        std::lock_guard<std::mutex> lock(mutex_);
        work_ = &work;
        count_ = count;
        grain_ = std::max<i64>(1, count / (8 * size()));
        next_ = 0;
        left_ = (int)threads_.size();
        round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take(0);
    for (int spin = 0; left_.load(std::memory_order_acquire); ++spin) rest(spin);
    if (no_memory_.exchange(false)) throw std::bad_alloc();
}

void Pool::take(int thread) {
    for (;;) {
        i64 first = next_.fetch_add(grain_, std::memory_order_relaxed);
        if (first >= count_) return;
        i64 stop = std::min(first + grain_, count_);
        try {
            for (i64 task = first; task < stop; ++task) (*work_)(task, thread);
        } catch (const std::bad_alloc&) {
            no_memory_ = true;
        }
    }
}

void Pool::serve(int thread) {
    FloatMode mode;
    std::uint64_t seen = 0;
    for (;;) {
        for (int spin = 0; round_.load(std::memory_order_acquire) == seen && spin < SPINS + YIELDS;
             ++spin) {
            rest(spin);
        }
        if (round_.load(std::memory_order_acquire) == seen) {
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return stop_ || round_ != seen; });
        }
        if (stop_) return;
        seen = round_.load(std::memory_order_acquire);
        take(thread);
        left_.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace verifiable
