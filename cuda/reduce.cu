/*
reduce: folds of the rows of x [rows, K], bit for bit as in verifiable/ops/reduce.py (the
definition).

A warp is the 32 lanes of a sum of floats: lane l adds x[l], x[l + 32], ... of a chunk from +0,
shuffles are the butterfly 16, 8, 4, 2, 1. With several warps to a row each takes a chunk, and one
thread adds the chunks' totals in order. Sums of integers wrap, extrema and their places go by an
integer key in the order of the elements: these have no order to keep.

  reduce_sum_f32
  reduce_sum_i32, _i64
  reduce_{max,min,argmax,argmin}_{f32,i8,u8,i32,i64,bool}     K >= 1
Launch:  block = (32 * warps, rows per block), one of the two factors 1, at most 1024 threads;
         grid = ceil(rows / rows per block); verifiable/engines/gpu_plan.py
Check:   pytest tests/cuda (interpreted PTX), pytest tests/engines -m gpu (a device)
*/

#include "fold.h"

namespace {

constexpr unsigned ALL = 0xffffffffu;

__device__ __forceinline__ long long row_of_thread() {
    return (long long)blockIdx.x * blockDim.y + threadIdx.y;
}

// Order of elements as an order of integers; a NaN is the most extreme whichever way one looks.
template <bool MOST>
struct Keys {
    static __device__ __forceinline__ int of(float x) {
        if (x != x) return MOST ? 0x7fffffff : (int)0x80000000;
        int bits = __float_as_int(x);
        return bits ^ ((bits >> 31) & 0x7fffffff);
    }
    static __device__ __forceinline__ int of(signed char x) { return x; }
    static __device__ __forceinline__ int of(unsigned char x) { return x; }
    static __device__ __forceinline__ int of(int x) { return x; }
    static __device__ __forceinline__ long long of(long long x) { return x; }

    static __device__ __forceinline__ void back(int key, float* x) {
        // Of other elements the keys lie between those of the infinities, 0x807fffff and 0x7f800000.
        bool nan = key == (MOST ? 0x7fffffff : (int)0x80000000);
        *x = __int_as_float(nan ? 0x7fc00000 : key ^ ((key >> 31) & 0x7fffffff));
    }
    template <class Key, class T>
    static __device__ __forceinline__ void back(Key key, T* x) { *x = (T)key; }
};

template <class Key>
struct Best { Key key; long long place; };

// The more extreme key, at equal keys the lower place.
template <bool MOST, class Key>
__device__ __forceinline__ Best<Key> better(Best<Key> x, Best<Key> y) {
    bool second = MOST ? y.key > x.key : y.key < x.key;
    if (y.key == x.key) second = y.place < x.place;
    return second ? y : x;
}

template <bool MOST, class T>
__device__ __forceinline__ void extremum(
    const T* __restrict__ x, T* __restrict__ value, long long* __restrict__ place,
    long long rows, int K)
{
    using Key = decltype(Keys<MOST>::of(T()));
    __shared__ Key keys[32];
    __shared__ long long places[32];
    long long row = row_of_thread();
    if (row >= rows) return;  // whole warps; with several warps to a row, no row is missing
    x += row * K;
    // A thread without elements repeats the first one, which changes no fold.
    Best<Key> best = {Keys<MOST>::of(x[0]), 0};
    for (int k = threadIdx.x; k < K; k += blockDim.x)
        best = better<MOST>(best, Best<Key>{Keys<MOST>::of(x[k]), k});
#pragma unroll
    for (int far = 16; far; far /= 2)
        best = better<MOST>(best, Best<Key>{__shfl_down_sync(ALL, best.key, far),
                                            __shfl_down_sync(ALL, best.place, far)});
    if (blockDim.x > 32) {
        if (threadIdx.x % 32 == 0) {
            keys[threadIdx.x / 32] = best.key;
            places[threadIdx.x / 32] = best.place;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (int warp = 1; warp < blockDim.x / 32; ++warp)
                best = better<MOST>(best, Best<Key>{keys[warp], places[warp]});
    }
    if (threadIdx.x) return;
    if (value) Keys<MOST>::back(best.key, value + row);
    if (place) place[row] = best.place;
}

template <class T, class Wrapping>
__device__ __forceinline__ void wrapping_sum(
    const T* __restrict__ x, T* __restrict__ out, long long rows, int K)
{
    __shared__ Wrapping sums[32];
    long long row = row_of_thread();
    if (row >= rows) return;
    Wrapping sum = 0;
    for (int k = threadIdx.x; k < K; k += blockDim.x) sum += (Wrapping)x[row * K + k];
#pragma unroll
    for (int far = 16; far; far /= 2) sum += __shfl_down_sync(ALL, sum, far);
    if (blockDim.x > 32) {
        if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
        __syncthreads();
        if (threadIdx.x == 0)
            for (int warp = 1; warp < blockDim.x / 32; ++warp) sum += sums[warp];
    }
    if (threadIdx.x == 0) out[row] = (T)sum;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(1024) reduce_sum_f32(
    const float* __restrict__ x,  // [rows, K]
    float* __restrict__ out,      // [rows]
    long long rows,
    int K,                        // 0 too
    int chunk)                    // a multiple of 32
{
    __shared__ float parts[32];
    long long row = row_of_thread();
    if (row >= rows) return;  // whole warps; with several warps to a row, no row is missing
    x += row * K;
    int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int chunks = K ? (K - 1) / chunk + 1 : 0;  // (K - 1) cannot overflow, K + chunk could
    float total = 0.0f;
    for (int round = 0; round < chunks; round += warps) {
        float part = 0.0f;
        if (round + warp < chunks) {
            int begin = (round + warp) * chunk, length = min(chunk, K - begin);
            for (int k = lane; k < length; k += 32) part = __fadd_rn(part, x[begin + k]);
        }
#pragma unroll
        for (int far = 16; far; far /= 2)
            part = __fadd_rn(part, __shfl_down_sync(ALL, part, far));
        if (warps == 1) {
            total = __fadd_rn(total, part);
            continue;
        }
        if (lane == 0) parts[warp] = part;
        __syncthreads();
        if (threadIdx.x == 0)
            for (int other = 0; other < warps && round + other < chunks; ++other)
                total = __fadd_rn(total, parts[other]);
        __syncthreads();
    }
    if (threadIdx.x == 0) out[row] = folded(total);
}

extern "C" __global__ void __launch_bounds__(1024) reduce_sum_i32(
    const int* __restrict__ x, int* __restrict__ out, long long rows, int K)
{
    wrapping_sum<int, unsigned>(x, out, rows, K);
}

extern "C" __global__ void __launch_bounds__(1024) reduce_sum_i64(
    const long long* __restrict__ x, long long* __restrict__ out, long long rows, int K)
{
    wrapping_sum<long long, unsigned long long>(x, out, rows, K);
}

#define EXTREMUM(name, most, type)                                                                \
    extern "C" __global__ void __launch_bounds__(1024) reduce_##name(                             \
        const type* __restrict__ x, type* __restrict__ out, long long rows, int K)                \
    {                                                                                             \
        extremum<most, type>(x, out, nullptr, rows, K);                                           \
    }                                                                                             \
    extern "C" __global__ void __launch_bounds__(1024) reduce_arg##name(                          \
        const type* __restrict__ x, long long* __restrict__ out, long long rows, int K)           \
    {                                                                                             \
        extremum<most, type>(x, nullptr, out, rows, K);                                           \
    }
#define EXTREMA(word, type) EXTREMUM(max_##word, true, type) EXTREMUM(min_##word, false, type)
EXTREMA(f32, float)
EXTREMA(i8, signed char)
EXTREMA(u8, unsigned char)
EXTREMA(i32, int)
EXTREMA(i64, long long)
EXTREMA(bool, unsigned char)
