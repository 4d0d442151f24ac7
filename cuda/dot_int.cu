/*
dot_int: out[n, i, j] = sum_k a[n % A, i, k] * b[n % B, j, k] of i8 or u8 by i8 into i32, as in
verifiable/ops/dot.py (the definition). Exact: a well-formed graph cannot overflow i32, so no order
matters and four products may be added at once (dp4a, compute capability 6.1 on).

  dot_i8_tile, dot_u8_tile    tiles of 128 x 128
  dot_i8_row, dot_u8_row      one warp per element, for few rows
Limits:  extents below 2^31 - 4096, any number of elements; fewer than 2^31 blocks; a and b start at
         a multiple of 16 bytes.
Launch:  verifiable/engines/gpu_dot.py
Check:   pytest tests/cuda (interpreted PTX), pytest tests/engines -m gpu (a device)
*/

namespace {

constexpr int THREADS = 256;
constexpr int SIDE = 128, EACH = 8, DEPTH = 8, PITCH = SIDE + 4;

// Both words hold four elements; those of b are signed, those of a as SIGNED says.
template <bool SIGNED>
__device__ __forceinline__ int dp4a(int a, int b, int total) {
    if (SIGNED) return __dp4a(a, b, total);
    int sum;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(total));
    return sum;
}

// Sixteen elements of a row from k on, zeros past its end.
// `wide`: rows are a multiple of sixteen long, so one access takes them all.
__device__ __forceinline__ int4 sixteen(
    const signed char* row, bool wide, bool exists, int k, int K)
{
    int4 x = make_int4(0, 0, 0, 0);
    if (!exists || k >= K) return x;
    if (wide) return *reinterpret_cast<const int4*>(row + k);
    int word[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 16; ++i)
        if (i < K - k) word[i / 4] |= (row[k + i] & 255) << (i % 4 * 8);
    return make_int4(word[0], word[1], word[2], word[3]);
}

template <bool SIGNED>
__device__ __forceinline__ void tile(
    const signed char* __restrict__ a, const signed char* __restrict__ b, int* __restrict__ out,
    int A, int B, int M, int N, int K)
{
    __shared__ __align__(16) int left[2][DEPTH][PITCH];
    __shared__ __align__(16) int right[2][DEPTH][PITCH];

    long long rows = (M + SIDE - 1) / SIDE, columns = (N + SIDE - 1) / SIDE;
    long long batch = blockIdx.x / (rows * columns);
    int tile_row = (int)(blockIdx.x % rows) * SIDE;
    int tile_column = (int)(blockIdx.x / rows % columns) * SIDE;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int ty = warp / 2 * 4 + lane / 8, tx = warp % 2 * 8 + lane % 8;
    int stage_row = threadIdx.x / 2, stage_word = threadIdx.x % 2 * 4;
    bool wide = K % 16 == 0;
    int a_row = tile_row + stage_row, b_row = tile_column + stage_row;
    const signed char* a_from = a + ((batch % A) * M + a_row) * K;
    const signed char* b_from = b + ((batch % B) * N + b_row) * K;

    int total[EACH][EACH] = {};
    auto stage = [&](int buffer, int4 x, int4 y) {
        left[buffer][stage_word + 0][stage_row] = x.x;
        left[buffer][stage_word + 1][stage_row] = x.y;
        left[buffer][stage_word + 2][stage_row] = x.z;
        left[buffer][stage_word + 3][stage_row] = x.w;
        right[buffer][stage_word + 0][stage_row] = y.x;
        right[buffer][stage_word + 1][stage_row] = y.y;
        right[buffer][stage_word + 2][stage_row] = y.z;
        right[buffer][stage_word + 3][stage_row] = y.w;
    };
    int buffer = 0, k = 0;
    while (true) {
        stage(buffer, sixteen(a_from, wide, a_row < M, k + stage_word * 4, K),
              sixteen(b_from, wide, b_row < N, k + stage_word * 4, K));
        // The other buffer was last read before the previous barrier: one barrier is enough.
        __syncthreads();
#pragma unroll
        for (int step = 0; step < DEPTH; ++step) {
            int x[EACH], y[EACH];
#pragma unroll
            for (int g = 0; g < 2; ++g) {
                *reinterpret_cast<int4*>(x + 4 * g) =
                    *reinterpret_cast<const int4*>(&left[buffer][step][g * 64 + ty * 4]);
                *reinterpret_cast<int4*>(y + 4 * g) =
                    *reinterpret_cast<const int4*>(&right[buffer][step][g * 64 + tx * 4]);
            }
#pragma unroll
            for (int i = 0; i < EACH; ++i)
#pragma unroll
                for (int j = 0; j < EACH; ++j) total[i][j] = dp4a<SIGNED>(x[i], y[j], total[i][j]);
        }
        if (K - k <= DEPTH * 4) break;
        k += DEPTH * 4;
        buffer ^= 1;
    }
#pragma unroll
    for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            int row = tile_row + i / 4 * 64 + ty * 4 + i % 4;
            int column = tile_column + j / 4 * 64 + tx * 4 + j % 4;
            if (row < M && column < N) out[(batch * M + row) * N + column] = total[i][j];
        }
}

template <bool SIGNED>
__device__ __forceinline__ void row(
    const signed char* __restrict__ a, const signed char* __restrict__ b, int* __restrict__ out,
    int A, int B, int M, int N, int K, long long size)
{
    long long i = (long long)blockIdx.x * (THREADS / 32) + threadIdx.x / 32;
    if (i >= size) return;  // whole warps
    int lane = threadIdx.x % 32;
    long long batch = i / ((long long)M * N);
    const signed char* x = a + ((batch % A) * M + i / N % M) * K;
    const signed char* y = b + ((batch % B) * N + i % N) * K;
    int total = 0;
    if (K % 4 == 0) {
        // Rows are whole words, so aligned ones.
        const int* x4 = reinterpret_cast<const int*>(x);
        const int* y4 = reinterpret_cast<const int*>(y);
        for (int k = lane; k < K / 4; k += 32) total = dp4a<SIGNED>(x4[k], y4[k], total);
    } else {
        for (int k = lane; k < K; k += 32)
            total += (SIGNED ? (int)x[k] : (int)(unsigned char)x[k]) * y[k];
    }
#pragma unroll
    for (int far = 16; far; far /= 2) total += __shfl_down_sync(0xffffffffu, total, far);
    if (lane == 0) out[i] = total;
}

}  // namespace

#define KERNEL(name, extra, ...)                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) name(                                   \
        const signed char* __restrict__ a, /* [A, M, K] */                                        \
        const signed char* __restrict__ b, /* [B, N, K] */                                        \
        int* __restrict__ out,             /* [batches, M, N] */                                  \
        int A, int B, int M, int N, int K extra)                                                  \
    {                                                                                             \
        __VA_ARGS__;                                                                              \
    }
#define NOTHING
#define SIZE , long long size
KERNEL(dot_i8_tile, NOTHING, tile<true>(a, b, out, A, B, M, N, K))
KERNEL(dot_u8_tile, NOTHING, tile<false>(a, b, out, A, B, M, N, K))
KERNEL(dot_i8_row, SIZE, row<true>(a, b, out, A, B, M, N, K, size))
KERNEL(dot_u8_row, SIZE, row<false>(a, b, out, A, B, M, N, K, size))
