/*
gather: out[b, j, i] = x[b, index[b % B, j], i], as in verifiable/ops/gather.py (the definition).
K is added once to a negative index; where it is out of range even so, the result is zero.

Bits are moved and never looked at, so there is one kernel per width of an element. One thread per
element.

  gather_{1,4,8}_{i32,i64}
Launch:  grid = ceil(N * J * I / 256), block = 256; verifiable/engines/gpu_plan.py
Check:   pytest tests/cuda (interpreted PTX), pytest tests/engines -m gpu (a device)
*/

#define GATHER(name, type, place)                                                                 \
    extern "C" __global__ void __launch_bounds__(256) name(                                       \
        const type* __restrict__ x,      /* [N, K, I] */                                          \
        const place* __restrict__ index, /* [B, J] */                                             \
        type* __restrict__ out,          /* [N, J, I] */                                          \
        long long size,                  /* N * J * I */                                          \
        long long K, long long I, long long J, long long B)                                       \
    {                                                                                             \
        long long at = (long long)blockIdx.x * 256 + threadIdx.x;                                 \
        if (at >= size) return;                                                                   \
        long long row = at / I, i = at - row * I;                                                 \
        long long b = row / J, j = row - b * J;                                                   \
        long long k = index[(B == 1 ? 0 : b) * J + j]; /* B is 1 or N */                          \
        if (k < 0) k += K;                                                                        \
        out[at] = 0 <= k && k < K ? x[(b * K + k) * I + i] : 0;                                   \
    }
GATHER(gather_1_i32, unsigned char, int)
GATHER(gather_4_i32, unsigned, int)
GATHER(gather_8_i32, unsigned long long, int)
GATHER(gather_1_i64, unsigned char, long long)
GATHER(gather_4_i64, unsigned, long long)
GATHER(gather_8_i64, unsigned long long, long long)
