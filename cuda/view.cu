/*
view: element i of the result is x[offset + sum_d i[d] * stride[d]] inside the box
low[d] <= i[d] < high[d], the fill value outside, as in verifiable/ops/view.py (the definition).

Bits are moved and never looked at, so there is one kernel per width of an element. Axes are
counted from the last; axes at and after `rank` are not read. One thread per element.

  view_{1,4,8}        fewer than 2^31 elements in the result and in x
  view_{1,4,8}_far    any number
Launch:  grid = ceil(size / 256), block = 256; verifiable/engines/gpu_plan.py
Check:   pytest tests/cuda (interpreted PTX), pytest tests/engines -m gpu (a device)
*/

namespace {

// The counter is as narrow as it may be: a 64-bit division costs several times a 32-bit one.
template <class T, class Count>
__device__ __forceinline__ void view(
    const T* __restrict__ x, T* __restrict__ out, T fill, long long size, long long offset,
    int rank, const long long (&extent)[8], const long long (&stride)[8],
    const long long (&low)[8], const long long (&high)[8])
{
    long long i = (long long)blockIdx.x * 256 + threadIdx.x;
    if (i >= size) return;
    Count rest = (Count)i;
    long long from = offset;
    bool inside = true;
#pragma unroll
    for (int d = 0; d < 8; ++d)
        if (d < rank) {
            Count above = rest / (Count)extent[d];
            long long at = (long long)(rest - above * (Count)extent[d]);
            rest = above;
            inside = inside && low[d] <= at && at < high[d];
            from += at * stride[d];
        }
    out[i] = inside ? x[from] : fill;
}

}  // namespace

#define EIGHT(word)                                                                               \
    long long word##0, long long word##1, long long word##2, long long word##3,                   \
    long long word##4, long long word##5, long long word##6, long long word##7
#define LIST(word) {word##0, word##1, word##2, word##3, word##4, word##5, word##6, word##7}
#define VIEW(name, type, count)                                                                   \
    extern "C" __global__ void __launch_bounds__(256) name(                                       \
        const type* __restrict__ x, type* __restrict__ out, type fill, long long size,            \
        long long offset, int rank, EIGHT(extent), EIGHT(stride), EIGHT(low), EIGHT(high))        \
    {                                                                                             \
        const long long extent[8] = LIST(extent), stride[8] = LIST(stride);                       \
        const long long low[8] = LIST(low), high[8] = LIST(high);                                 \
        view<type, count>(x, out, fill, size, offset, rank, extent, stride, low, high);           \
    }
VIEW(view_1, unsigned char, unsigned)
VIEW(view_4, unsigned, unsigned)
VIEW(view_8, unsigned long long, unsigned)
VIEW(view_1_far, unsigned char, unsigned long long)
VIEW(view_4_far, unsigned, unsigned long long)
VIEW(view_8_far, unsigned long long, unsigned long long)
