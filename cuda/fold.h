/*
fold: how every sum of floats ends, in dot.cu and reduce.cu.

The last addition turns -0 into +0, so that a row padded with zeros gives what the row gives; it is
also why a total may start at +0 instead of at its first part. A NaN becomes the one NaN there is.
*/

#pragma once

__device__ __forceinline__ float folded(float total) {
    float sum = __fadd_rn(total, 0.0f);
    return sum == sum ? sum : __int_as_float(0x7fc00000);
}
