/*
dot: out[n, i, j] = sum_k a[n % A, i, k] * b[n % B, j, k] of f32, bit for bit as in
verifiable/ops/dot.py (the definition): one fma chain in the order of k per chunk, the chunks'
totals added in order, + 0.0f, the one NaN.

A tile cuts rows and columns, a split cuts between chunks: neither touches the order inside an
element, so the result depends on no launch shape. Totals of a tile wait in `out` itself, which
costs two accesses per element and chunk and no register. What is read past a row's end is zero
in both operands; its products leave a total as it is, but for the sign of a zero, which the last
addition hides.

  dot_f32_tile_128, _64   tiles of 128 x 128, 64 x 64; chunk % 16 == 0
  dot_f32_few_1, _8       at most 1, 8 rows against any number; chunk % 32 == 0
  dot_f32_any             any chunk, one thread per element, slow
  dot_f32_fold            adds the chunks' totals of a split
Limits:  extents below 2^31 - 4096, any number of elements; fewer than 2^31 blocks; a and b start at
         a multiple of 16 bytes.
Launch:  verifiable/engines/gpu_dot.py
Check:   pytest tests/cuda (interpreted PTX), pytest tests/engines -m gpu (a device)
*/

#include "fold.h"

namespace {

constexpr int THREADS = 256;
constexpr int BAND = 8;  // rows of tiles that are walked together, so that L2 keeps their operands

struct Tile { int row, column; long long batch, chunk; };

// Blocks walk columns within a band of tile rows; batches and chunks outermost.
__device__ __forceinline__ Tile place(int rows, int columns, int chunks) {
    long long tiles = (long long)rows * columns;
    long long outer = blockIdx.x / tiles, inner = blockIdx.x % tiles;
    int band = (int)(inner / ((long long)BAND * columns)) * BAND;
    int height = min(BAND, rows - band);
    int within = (int)(inner - (long long)band * columns);
    return {band + within % height, within / height, outer / chunks, outer % chunks};
}

// Four elements of a row from k on, zeros past its end.
// `wide`: rows are a multiple of four long, so one access takes them all.
__device__ __forceinline__ float4 four(const float* row, bool wide, bool exists, int k, int K) {
    float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (!exists) return x;
    if (wide) {
        if (k < K) x = *reinterpret_cast<const float4*>(row + k);
        return x;
    }
    if (k + 0 < K) x.x = row[k];
    if (k + 1 < K) x.y = row[k + 1];
    if (k + 2 < K) x.z = row[k + 2];
    if (k + 3 < K) x.w = row[k + 3];
    return x;
}

// SIDE x SIDE outputs by 16 x 16 threads, EACH x EACH per thread in groups of four.
template <int SIDE>
__device__ __forceinline__ void tile(
    const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out,
    int A, int B, int M, int N, int K, int chunk, int chunks, int split)
{
    constexpr int EACH = SIDE / 16, GROUPS = EACH / 4, GAP = SIDE / GROUPS;
    constexpr int DEPTH = 1024 / SIDE;  // one float4 per thread and operand
    constexpr int PITCH = SIDE + 4;     // + 4: transposed stores meet few banks twice
    __shared__ __align__(16) float left[2][DEPTH][PITCH];
    __shared__ __align__(16) float right[2][DEPTH][PITCH];

    Tile at = place((M + SIDE - 1) / SIDE, (N + SIDE - 1) / SIDE, split ? chunks : 1);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    // A warp covers 4 x 8 threads: its reads of `left` and `right` are broadcasts.
    int ty = warp / 2 * 4 + lane / 8, tx = warp % 2 * 8 + lane % 8;
    int stage_row = threadIdx.x / (DEPTH / 4), stage_k = threadIdx.x % (DEPTH / 4) * 4;
    bool wide = K % 4 == 0;
    int a_row = at.row * SIDE + stage_row, b_row = at.column * SIDE + stage_row;
    const float* a_from = a + ((at.batch % A) * M + a_row) * K;
    const float* b_from = b + ((at.batch % B) * N + b_row) * K;

    // chunk * at.chunk < K: a split has a block per chunk that exists.
    int begin = split ? (int)(at.chunk * chunk) : 0;
    int end = split ? min(K, begin + chunk) : K;
    // A split writes raw totals, [chunk, batch, M, N].
    long long batches = gridDim.x / ((long long)((M + SIDE - 1) / SIDE) * ((N + SIDE - 1) / SIDE))
                        / (split ? chunks : 1);
    float* to = out + ((split ? at.chunk * batches : 0) + at.batch) * M * N;

    float total[EACH][EACH] = {};
    auto stage = [&](int buffer, float4 x, float4 y) {
        left[buffer][stage_k + 0][stage_row] = x.x;
        left[buffer][stage_k + 1][stage_row] = x.y;
        left[buffer][stage_k + 2][stage_row] = x.z;
        left[buffer][stage_k + 3][stage_row] = x.w;
        right[buffer][stage_k + 0][stage_row] = y.x;
        right[buffer][stage_k + 1][stage_row] = y.y;
        right[buffer][stage_k + 2][stage_row] = y.z;
        right[buffer][stage_k + 3][stage_row] = y.w;
    };
    stage(0, four(a_from, wide, a_row < M, begin + stage_k, end),
          four(b_from, wide, b_row < N, begin + stage_k, end));
    __syncthreads();

    int buffer = 0;
    for (int k = begin; k < end; k += DEPTH, buffer ^= 1) {
        bool more = end - k > DEPTH;
        float4 next_a, next_b;
        if (more) {
            next_a = four(a_from, wide, a_row < M, k + DEPTH + stage_k, end);
            next_b = four(b_from, wide, b_row < N, k + DEPTH + stage_k, end);
        }
#pragma unroll
        for (int step = 0; step < DEPTH; ++step) {
            float x[EACH], y[EACH];
#pragma unroll
            for (int g = 0; g < GROUPS; ++g) {
                *reinterpret_cast<float4*>(x + 4 * g) =
                    *reinterpret_cast<const float4*>(&left[buffer][step][g * GAP + ty * 4]);
                *reinterpret_cast<float4*>(y + 4 * g) =
                    *reinterpret_cast<const float4*>(&right[buffer][step][g * GAP + tx * 4]);
            }
#pragma unroll
            for (int i = 0; i < EACH; ++i)
#pragma unroll
                for (int j = 0; j < EACH; ++j) total[i][j] = __fmaf_rn(x[i], y[j], total[i][j]);
        }
        if (!more || (k + DEPTH) % chunk == 0) {  // a chunk ends
            bool first = split || k < chunk, last = !more && !split;
#pragma unroll
            for (int i = 0; i < EACH; ++i) {
                int row = at.row * SIDE + i / 4 * GAP + ty * 4 + i % 4;
#pragma unroll
                for (int j = 0; j < EACH; ++j) {
                    int column = at.column * SIDE + j / 4 * GAP + tx * 4 + j % 4;
                    if (row < M && column < N) {
                        float* cell = to + (long long)row * N + column;
                        float sum = first ? total[i][j] : __fadd_rn(*cell, total[i][j]);
                        *cell = last ? folded(sum) : sum;
                    }
                    total[i][j] = 0.0f;
                }
            }
        }
        if (more) stage(buffer ^ 1, next_a, next_b);
        // The other buffer was last read before the previous barrier: one barrier is enough.
        __syncthreads();
    }
}

constexpr int WARPS = 4;

// ROWS rows against 32 rows per warp, one chunk per warp; a lane is one of the 32.
template <int ROWS>
__device__ __forceinline__ void few(
    const float* __restrict__ p, const float* __restrict__ q, float* __restrict__ out,
    int P, int Q, int few_batches, int many_batches, int K, int chunk, int chunks,
    long long few_step, long long many_step, long long batches)
{
    __shared__ float many_part[WARPS][32][33];
    __shared__ __align__(16) float few_part[WARPS][ROWS][32];

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    long long strips = (Q + 31LL) / 32, fours = (chunks + WARPS - 1) / WARPS;
    long long batch = blockIdx.x / (strips * fours), rest = blockIdx.x % (strips * fours);
    int from = (int)(rest % strips) * 32;
    int piece = (int)(rest / strips) * WARPS + warp;
    if (piece >= chunks) return;  // whole warps: nothing below waits for another warp
    int begin = piece * chunk, end = min(K, begin + chunk);
    p += (batch % few_batches) * P * K;
    q += ((batch % many_batches) * Q + from) * K;

    float total[ROWS] = {}, ahead[32], few_ahead[ROWS];
    auto fetch = [&](int k) {
        bool exists = k + lane < end;
#pragma unroll
        for (int row = 0; row < 32; ++row)
            ahead[row] = exists && from + row < Q ? q[(long long)row * K + k + lane] : 0.0f;
#pragma unroll
        for (int row = 0; row < ROWS; ++row)
            few_ahead[row] = exists && row < P ? p[(long long)row * K + k + lane] : 0.0f;
    };
    fetch(begin);
    for (int k = begin; k < end; k += 32) {
        __syncwarp();
#pragma unroll
        for (int row = 0; row < 32; ++row) many_part[warp][row][lane] = ahead[row];
#pragma unroll
        for (int row = 0; row < ROWS; ++row) few_part[warp][row][lane] = few_ahead[row];
        __syncwarp();
        if (end - k > 32) fetch(k + 32);
#pragma unroll
        for (int step = 0; step < 32; ++step)
#pragma unroll
            for (int row = 0; row < ROWS; ++row)
                total[row] = __fmaf_rn(
                    few_part[warp][row][step], many_part[warp][lane][step], total[row]);
    }
    if (from + lane >= Q) return;
    long long base = ((chunks > 1 ? piece * batches : 0) + batch) * P * Q;
#pragma unroll
    for (int row = 0; row < ROWS; ++row)
        if (row < P)
            out[base + row * few_step + (from + lane) * many_step] =
                chunks > 1 ? total[row] : folded(total[row]);
}

}  // namespace

#define TILE(name, side)                                                                          \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) name(                                \
        const float* __restrict__ a, /* [A, M, K] */                                              \
        const float* __restrict__ b, /* [B, N, K] */                                              \
        float* __restrict__ out,     /* [batches, M, N]; if split [chunks, batches, M, N] */      \
        int A, int B, int M, int N, int K, int chunk,                                             \
        int chunks,                  /* ceil(K / chunk), at least 1 */                            \
        int split)                   /* whether each chunk has blocks of its own */               \
    {                                                                                             \
        tile<side>(a, b, out, A, B, M, N, K, chunk, chunks, split);                               \
    }
TILE(dot_f32_tile_128, 128)
TILE(dot_f32_tile_64, 64)

#define FEW_ROWS(rows)                                                                            \
    extern "C" __global__ void __launch_bounds__(WARPS * 32) dot_f32_few_##rows(                  \
        const float* __restrict__ few_rows,  /* [few_batches, P, K], P <= rows */                 \
        const float* __restrict__ many_rows, /* [many_batches, Q, K] */                           \
        float* __restrict__ out,             /* [batches, ...]; [chunks, batches, ...] if > 1 */  \
        int few_batches, int many_batches, int P, int Q, int K, int chunk, int chunks,            \
        long long few_step,                  /* of `out`, per row of `few_rows` */                \
        long long many_step,                 /* of `out`, per row of `many_rows` */               \
        long long batches)                                                                        \
    {                                                                                             \
        few<rows>(few_rows, many_rows, out, P, Q, few_batches, many_batches, K, chunk, chunks,    \
                  few_step, many_step, batches);                                                  \
    }
FEW_ROWS(1)
FEW_ROWS(8)

extern "C" __global__ void __launch_bounds__(THREADS) dot_f32_any(
    const float* __restrict__ a,  // [A, M, K]
    const float* __restrict__ b,  // [B, N, K]
    float* __restrict__ out,      // [batches, M, N]
    int A, int B, int M, int N, int K, int chunk,
    long long size)               // of `out`
{
    long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    long long batch = i / ((long long)M * N), row = i / N % M, column = i % N;
    const float* x = a + ((batch % A) * M + row) * K;
    const float* y = b + ((batch % B) * N + column) * K;
    float total = 0.0f, part = 0.0f;
    for (int k = 0; k < K; ++k) {
        part = __fmaf_rn(x[k], y[k], part);
        if ((k + 1) % chunk == 0 || k + 1 == K) {
            total = __fadd_rn(total, part);
            part = 0.0f;
        }
    }
    out[i] = folded(total);
}

extern "C" __global__ void __launch_bounds__(THREADS) dot_f32_fold(
    const float* __restrict__ parts,  // [chunks, size]
    float* __restrict__ out,          // [size]
    int chunks,
    long long size)
{
    long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    float total = 0.0f;
    for (int chunk = 0; chunk < chunks; ++chunk) total = __fadd_rn(total, parts[chunk * size + i]);
    out[i] = folded(total);
}
