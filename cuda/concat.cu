/*
concat: puts one part into the result of a Concat, as in verifiable/ops/concat.py (the definition).

Seen from the axis, a part is [outer, width] and the result [outer, total]; the part's rows go to
columns offset ... offset + width - 1. One launch per part; parts do not meet, so launches have no
order. Bits are moved and never looked at, so there is one kernel per width of an element.

  concat_{1,4,8}
Launch:  grid = ceil(outer * width / 256), block = 256; verifiable/engines/gpu_plan.py
Check:   pytest tests/cuda (interpreted PTX), pytest tests/engines -m gpu (a device)
*/

#define CONCAT(name, type)                                                                        \
    extern "C" __global__ void __launch_bounds__(256) name(                                       \
        const type* __restrict__ part, /* [outer, width] */                                       \
        type* __restrict__ out,        /* [outer, total] */                                       \
        long long size,                /* outer * width */                                        \
        long long width, long long total, long long offset)                                       \
    {                                                                                             \
        long long i = (long long)blockIdx.x * 256 + threadIdx.x;                                  \
        if (i >= size) return;                                                                    \
        out[i / width * total + offset + i % width] = part[i];                                    \
    }
CONCAT(concat_1, unsigned char)
CONCAT(concat_4, unsigned)
CONCAT(concat_8, unsigned long long)
