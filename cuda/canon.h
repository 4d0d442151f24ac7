/*
canon.h: every scalar function of the canonical machine, for C++17 compilers and for NVRTC.

Equals, bit for bit, verifiable/ops/scalar (the definition); tests/ops/test_canon_header.py holds one
against the other. Named canon_<function>_<dtype of the operands>, casts canon_to_<dtype>_<from>.

Nothing here branches, calls libm or traps, so a loop `for (i) out[i] = canon_exp_f32(x[i]);` becomes
vector code. Compile hosts with -O3 -ffp-contract=off -fno-trapping-math -fno-math-errno, NVRTC with
--fmad=false --ftz=false --prec-div=true --prec-sqrt=true; rounding to nearest, subnormals kept.
A bool is a byte, 0 or 1.
*/
#ifndef VERIFIABLE_CANON_H
#define VERIFIABLE_CANON_H

typedef signed char canon_i8;
typedef unsigned char canon_u8;
typedef int canon_i32;
typedef long long canon_i64;
typedef unsigned char canon_bool;

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define CANON static __device__ __forceinline__
CANON float canon_raw_fma(float x, float y, float z) { return __fmaf_rn(x, y, z); }
CANON float canon_raw_add(float x, float y) { return __fadd_rn(x, y); }
CANON float canon_raw_sub(float x, float y) { return __fsub_rn(x, y); }
CANON float canon_raw_mul(float x, float y) { return __fmul_rn(x, y); }
CANON float canon_raw_div(float x, float y) { return __fdiv_rn(x, y); }
CANON float canon_raw_sqrt(float x) { return __fsqrt_rn(x); }
CANON float canon_raw_floor(float x) { return floorf(x); }
CANON float canon_raw_round(float x) { return rintf(x); }
CANON int canon_bits(float x) { return __float_as_int(x); }
CANON float canon_float(int bits) { return __int_as_float(bits); }
CANON float canon_raw_from_i32(int x) { return __int2float_rn(x); }
CANON float canon_raw_from_i64(long long x) { return __ll2float_rn(x); }
#else
#if defined(__FAST_MATH__) || (defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0)
#error "canon.h: binary32 arithmetic must be rounded as written: no -ffast-math, no x87"
#endif
#define CANON static inline __attribute__((always_inline))
CANON int canon_bits(float x) {
    int bits;
    __builtin_memcpy(&bits, &x, 4);
    return bits;
}
CANON float canon_float(int bits) {
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return x;
}
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
CANON float canon_raw_fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
#else
// Exact without the instruction: the product of two floats is exact in binary64, two-sum gives the
// error of adding z, and a sum rounded to odd (Boldo and Melquiond 2008) rounds on to binary32 as
// the exact one would. The error is NaN where anything is infinite: then the sum is right as it is.
CANON float canon_raw_fma(float x, float y, float z) {
    double product = (double)x * (double)y;
    double sum = product + (double)z;
    double shifted = sum - product;
    double error = (product - (sum - shifted)) + ((double)z - shifted);
    long long bits;
    __builtin_memcpy(&bits, &sum, 8);
    long long step = (error > 0.0) == (sum > 0.0) ? 1 : -1;
    bits += ((error > 0.0 || error < 0.0) && !(bits & 1)) ? step : 0;
    __builtin_memcpy(&sum, &bits, 8);
    return (float)sum;
}
#endif
CANON float canon_raw_add(float x, float y) { return x + y; }
CANON float canon_raw_sub(float x, float y) { return x - y; }
CANON float canon_raw_mul(float x, float y) { return x * y; }
CANON float canon_raw_div(float x, float y) { return x / y; }
CANON float canon_raw_sqrt(float x) { return __builtin_sqrtf(x); }
CANON float canon_raw_floor(float x) { return __builtin_floorf(x); }
CANON float canon_raw_round(float x) { return __builtin_rintf(x); }
CANON float canon_raw_from_i32(int x) { return (float)x; }
CANON float canon_raw_from_i64(long long x) { return (float)x; }
#endif

#define CANON_NAN canon_float(0x7fc00000)
#define CANON_INF canon_float(0x7f800000)

// Every NaN that leaves a function is the canonical one.
CANON float canon_nan(float x) { return x == x ? x : CANON_NAN; }

// -- f32 arithmetic, rounded to nearest, ties to even

CANON float canon_add_f32(float x, float y) { return canon_nan(canon_raw_add(x, y)); }
CANON float canon_sub_f32(float x, float y) { return canon_nan(canon_raw_sub(x, y)); }
CANON float canon_mul_f32(float x, float y) { return canon_nan(canon_raw_mul(x, y)); }
CANON float canon_div_f32(float x, float y) { return canon_nan(canon_raw_div(x, y)); }
CANON float canon_fma_f32(float x, float y, float z) { return canon_nan(canon_raw_fma(x, y, z)); }
CANON float canon_neg_f32(float x) { return canon_nan(-x); }
CANON float canon_abs_f32(float x) { return canon_nan(canon_float(canon_bits(x) & 0x7fffffff)); }
CANON float canon_sqrt_f32(float x) { return canon_nan(canon_raw_sqrt(x)); }
CANON float canon_floor_f32(float x) { return canon_nan(canon_raw_floor(x)); }
CANON float canon_round_f32(float x) { return canon_nan(canon_raw_round(x)); }

// fminf and fmaxf drop a NaN and leave the sign of a zero open; these keep both.
CANON float canon_min_f32(float x, float y) {
    float r = x < y ? x : y;
    r = x == y ? canon_float(canon_bits(x) | canon_bits(y)) : r;
    return x == x && y == y ? r : CANON_NAN;
}
CANON float canon_max_f32(float x, float y) {
    float r = x > y ? x : y;
    r = x == y ? canon_float(canon_bits(x) & canon_bits(y)) : r;
    return x == x && y == y ? r : CANON_NAN;
}

// -- exp, sigmoid, tanh

#define CANON_LOG2_E 0x1.715476p+0f
#define CANON_LN2_HIGH 0x1.62e430p-1f
#define CANON_LN2_LOW -0x1.05c610p-29f
// Added to |v| < 2^22 it leaves v, rounded to even, in the low bits.
#define CANON_ROUNDER 12582912.0f

// exp(x) = (1 + r p) 2^n for |x| < 2^20: gives r, p, and n in the low bits of *rounded, which is
// n + rounder. x - n LN2_HIGH is exact. |relative error| of 1 + r p < 2^-28 on |r| <= ln(2) / 2.
CANON float canon_exp_core(float x, float rounder, float *rounded, float *p) {
    *rounded = canon_raw_fma(x, CANON_LOG2_E, rounder);
    float n = canon_raw_sub(*rounded, rounder);
    float r = canon_raw_fma(n, -CANON_LN2_HIGH, x);
    r = canon_raw_fma(n, -CANON_LN2_LOW, r);
    float v = 0x1.6a4e74p-10f;
    v = canon_raw_fma(v, r, 0x1.123980p-7f);
    v = canon_raw_fma(v, r, 0x1.5558aep-5f);
    v = canon_raw_fma(v, r, 0x1.555492p-3f);
    v = canon_raw_fma(v, r, 0x1.fffffcp-2f);
    *p = canon_raw_fma(v, r, 1.0f);
    return r;
}

// n 2^23, where n is in the low bits: what to add to the bits of a float to multiply it by 2^n.
CANON int canon_exponent(float rounded) { return (int)((unsigned)canon_bits(rounded) << 23); }

// min(|x|, bound); NaN gives bound. As integers, which order as magnitudes do: compilers turn this
// into one instruction, and comparisons of floats into five.
CANON float canon_clamped_magnitude(float x, float bound) {
    int bits = canon_bits(x) & 0x7fffffff;
    return canon_float(bits < canon_bits(bound) ? bits : canon_bits(bound));
}

CANON int canon_sign(float x) { return canon_bits(x) & (int)0x80000000; }

// 2^n is applied in two factors, 2^(n -+ 64) by way of the rounder, and 2^(+-64): the first product
// is exact, so the second alone rounds, overflows or becomes subnormal. From 104 on the result is
// infinite or 0.
CANON float canon_exp_f32(float x) {
    float t, p;
    float z = canon_float(canon_bits(canon_clamped_magnitude(x, 104.0f)) | canon_sign(x));
    bool below = canon_bits(x) < 0;
    float r = canon_exp_core(z, below ? CANON_ROUNDER + 64.0f : CANON_ROUNDER - 64.0f, &t, &p);
    int first = canon_bits(canon_raw_fma(p, r, 1.0f)) + canon_exponent(t);
    float e = canon_raw_mul(canon_float(first), below ? 0x1p-64f : 0x1p64f);
    return x == x ? e : CANON_NAN;
}

// What canon_exp_f32 gives for -|x|, in fewer steps, for fused kernels; of NaN it gives 0.
CANON float canon_exp_below_zero(float x) {
    float t, p;
    float z = -canon_clamped_magnitude(x, 104.0f);
    float r = canon_exp_core(z, CANON_ROUNDER + 64.0f, &t, &p);
    int first = canon_bits(canon_raw_fma(p, r, 1.0f)) + canon_exponent(t);
    return canon_raw_mul(canon_float(first), 0x1p-64f);
}

// exp(x) / (1 + exp(x)) below zero, 1 / (1 + exp(-x)) above: neither overflows, both keep tails.
// d + low is 1 + e exactly.
CANON float canon_sigmoid_f32(float x) {
    float e = canon_exp_below_zero(x);
    float d = canon_raw_add(1.0f, e);
    float low = canon_raw_sub(e, canon_raw_sub(d, 1.0f));
    float r = canon_raw_div(x < 0.0f ? e : 1.0f, d);
    r = canon_raw_fma(-r, low, r);
    return x == x ? r : CANON_NAN;
}

// y + y^3 P(y^2) below 0.625, 1 - 2 / (exp(2y) + 1) above, y = |x|; 1 from 9.02 on.
CANON float canon_tanh_f32(float x) {
    int sign = canon_bits(x) & (int)0x80000000;
    float y = canon_float(canon_bits(x) & 0x7fffffff);
    float u = canon_raw_mul(y, y);
    float v = -0x1.750ce2p-8f;
    v = canon_raw_fma(v, u, 0x1.51f8cep-6f);
    v = canon_raw_fma(v, u, -0x1.b835a4p-5f);
    v = canon_raw_fma(v, u, 0x1.1106f6p-3f);
    v = canon_raw_fma(v, u, -0x1.555532p-2f);
    float small = canon_raw_fma(canon_raw_mul(y, u), v, y);
    float t, p;
    float z = canon_clamped_magnitude(x, 10.0f);
    float r = canon_exp_core(canon_raw_add(z, z), CANON_ROUNDER, &t, &p);
    float power = canon_float(0x3f800000 + canon_exponent(t));
    float e_plus_1 = canon_raw_fma(power, canon_raw_mul(p, r), canon_raw_add(power, 1.0f));
    float large = canon_raw_sub(1.0f, canon_raw_div(2.0f, e_plus_1));
    float result = canon_float(canon_bits(y < 0.625f ? small : large) | sign);
    return x == x ? result : CANON_NAN;
}

// -- erf: y + y P(y^2) below 0.9375; above, 1 - Q(y)^4, where Q is near erfc^(1/4), which is smooth
// and needs no exponential; 1 from 3.84 on.
CANON float canon_erf_f32(float x) {
    int sign = canon_bits(x) & (int)0x80000000;
    float y = canon_float(canon_bits(x) & 0x7fffffff);
    float u = canon_raw_mul(y, y);
    float v = -0x1.36a5aep-11f;
    v = canon_raw_fma(v, u, 0x1.466a12p-8f);
    v = canon_raw_fma(v, u, -0x1.b6698ep-6f);
    v = canon_raw_fma(v, u, 0x1.ce1856p-4f);
    v = canon_raw_fma(v, u, -0x1.8126dcp-2f);
    v = canon_raw_fma(v, u, 0x1.06eba6p-3f);
    float small = canon_raw_fma(v, y, y);
    float z = canon_clamped_magnitude(x, 3.9375f);
    float q = -0x1.d212eap-16f;
    q = canon_raw_fma(q, z, 0x1.1622fap-12f);
    q = canon_raw_fma(q, z, 0x1.85c592p-13f);
    q = canon_raw_fma(q, z, -0x1.58f528p-7f);
    q = canon_raw_fma(q, z, 0x1.3d141ep-5f);
    q = canon_raw_fma(q, z, -0x1.4cca5ep-7f);
    q = canon_raw_fma(q, z, -0x1.989a02p-4f);
    q = canon_raw_fma(q, z, -0x1.296984p-2f);
    q = canon_raw_fma(q, z, 0x1.0063b4p+0f);
    q = canon_raw_mul(q, q);
    float large = canon_raw_fma(-q, q, 1.0f);
    float result = canon_float(canon_bits(y < 0.9375f ? small : large) | sign);
    return x == x ? result : CANON_NAN;
}

// -- log: x = m 2^e with m in [2/3, 4/3), f = m - 1: e ln(2) + f - f^2 / 2 + f^3 P(f), of which
// high + low is e LN2_HIGH + f exactly, and f is exact too.
CANON float canon_log_f32(float x) {
    bool tiny = x < 0x1p-126f;
    int bits = canon_bits(tiny ? canon_raw_mul(x, 8388608.0f) : x) - 0x3f2aaaab;
    float e = canon_raw_from_i32((bits >> 23) - (tiny ? 23 : 0));
    float f = canon_raw_sub(canon_float((bits & 0x7fffff) + 0x3f2aaaab), 1.0f);
    float v = -0x1.07c95ap-3f;
    v = canon_raw_fma(v, f, 0x1.1e67a0p-3f);
    v = canon_raw_fma(v, f, -0x1.f332a8p-4f);
    v = canon_raw_fma(v, f, 0x1.1ed660p-3f);
    v = canon_raw_fma(v, f, -0x1.559c46p-3f);
    v = canon_raw_fma(v, f, 0x1.99d044p-3f);
    v = canon_raw_fma(v, f, -0x1.fffefcp-3f);
    v = canon_raw_fma(v, f, 0x1.555506p-2f);
    float s = canon_raw_mul(f, f);
    float rest = canon_raw_fma(canon_raw_mul(s, f), v, canon_raw_mul(e, CANON_LN2_LOW));
    rest = canon_raw_fma(canon_raw_mul(f, -0.5f), f, rest);
    float high = canon_raw_fma(e, CANON_LN2_HIGH, f);
    float low = canon_raw_sub(f, canon_raw_fma(-e, CANON_LN2_HIGH, high));
    float r = canon_raw_add(high, canon_raw_add(low, rest));
    r = x < CANON_INF ? r : CANON_INF;
    r = x > 0.0f ? r : -CANON_INF;
    return x >= 0.0f ? r : CANON_NAN;
}

// -- sin, cos: |x| = n pi/2 + r, with pi/2 in three parts; |x| - n PI_2_A is exact. Below 2^20;
// beyond, where neighbouring floats are far apart on the circle, the angle is taken for 0.
CANON float canon_circle(float x, int quarter, int sign) {
    float y = canon_float(canon_bits(x) & 0x7fffffff);
    y = y < 1048576.0f ? y : 0.0f;
    float t = canon_raw_fma(y, 0x1.45f306p-1f, CANON_ROUNDER);
    float n = canon_raw_sub(t, CANON_ROUNDER);
    float r = canon_raw_fma(n, -0x1.921fb6p+0f, y);
    r = canon_raw_fma(n, 0x1.777a5cp-25f, r);
    r = canon_raw_fma(n, 0x1.ee59dap-50f, r);
    float u = canon_raw_mul(r, r);
    float s = -0x1.985676p-13f;
    s = canon_raw_fma(s, u, 0x1.11046cp-7f);
    s = canon_raw_fma(s, u, -0x1.55553ep-3f);
    s = canon_raw_fma(canon_raw_mul(r, u), s, r);
    float c = 0x1.98fa20p-16f;
    c = canon_raw_fma(c, u, -0x1.6c08b6p-10f);
    c = canon_raw_fma(c, u, 0x1.555544p-5f);
    c = canon_raw_fma(c, u, -0.5f);
    c = canon_raw_fma(c, u, 1.0f);
    int q = canon_bits(t) + quarter;
    float v = q & 1 ? c : s;
    v = canon_float(canon_bits(v) ^ ((q & 2) << 30) ^ sign);
    float magnitude = canon_float(canon_bits(x) & 0x7fffffff);
    return magnitude < CANON_INF ? v : CANON_NAN;
}

CANON float canon_sin_f32(float x) { return canon_circle(x, 0, canon_bits(x) & (int)0x80000000); }
CANON float canon_cos_f32(float x) { return canon_circle(x, 1, 0); }

// -- integers: two's complement, wrapping, total

#define CANON_INTEGER(D, T, U, WIDTH)                                                              \
    CANON T canon_add_##D(T x, T y) { return (T)((U)x + (U)y); }                                   \
    CANON T canon_sub_##D(T x, T y) { return (T)((U)x - (U)y); }                                   \
    CANON T canon_mul_##D(T x, T y) { return (T)((U)x * (U)y); }                                   \
    CANON T canon_neg_##D(T x) { return (T)(0 - (U)x); }                                           \
    CANON T canon_abs_##D(T x) { return x < 0 ? canon_neg_##D(x) : x; }                            \
    CANON T canon_div_##D(T x, T y) {                                                              \
        T quotient = x / (y == 0 || y == -1 ? 1 : y); /* x86 traps on both */                      \
        return y == 0 ? 0 : y == -1 ? canon_neg_##D(x) : quotient;                                 \
    }                                                                                              \
    CANON T canon_rem_##D(T x, T y) { return x % (y == 0 || y == -1 ? 1 : y); }                    \
    CANON T canon_shl_##D(T x, T y) {                                                              \
        T shifted = (T)((U)x << (y & (WIDTH - 1)));                                                \
        return (U)y < WIDTH ? shifted : 0;                                                         \
    }                                                                                              \
    CANON T canon_shr_##D(T x, T y) {                                                              \
        T shifted = x >> (y & (WIDTH - 1));                                                        \
        return (U)y < WIDTH ? shifted : 0;                                                         \
    }                                                                                              \
    CANON T canon_not_##D(T x) { return ~x; }
CANON_INTEGER(i32, canon_i32, unsigned, 32)
CANON_INTEGER(i64, canon_i64, unsigned long long, 64)
CANON canon_bool canon_not_bool(canon_bool x) { return x ^ 1; }

#define CANON_LOGIC(D, T)                                                                          \
    CANON T canon_and_##D(T x, T y) { return (T)(x & y); }                                         \
    CANON T canon_or_##D(T x, T y) { return (T)(x | y); }                                          \
    CANON T canon_xor_##D(T x, T y) { return (T)(x ^ y); }
CANON_LOGIC(bool, canon_bool)
CANON_LOGIC(i32, canon_i32)
CANON_LOGIC(i64, canon_i64)

// -- comparison and choice

#define CANON_ORDER(D, T)                                                                          \
    CANON canon_bool canon_lt_##D(T x, T y) { return x < y; }                                      \
    CANON canon_bool canon_le_##D(T x, T y) { return x <= y; }                                     \
    CANON canon_bool canon_eq_##D(T x, T y) { return x == y; }
CANON_ORDER(f32, float)
CANON_ORDER(i8, canon_i8)
CANON_ORDER(u8, canon_u8)
CANON_ORDER(i32, canon_i32)
CANON_ORDER(i64, canon_i64)
CANON_ORDER(bool, canon_bool)

#define CANON_CHOICE(D, T)                                                                         \
    CANON T canon_min_##D(T x, T y) { return y < x ? y : x; }                                      \
    CANON T canon_max_##D(T x, T y) { return y > x ? y : x; }                                      \
    CANON T canon_select_##D(canon_bool c, T x, T y) { return c ? x : y; }
CANON_CHOICE(i8, canon_i8)
CANON_CHOICE(u8, canon_u8)
CANON_CHOICE(i32, canon_i32)
CANON_CHOICE(i64, canon_i64)
CANON_CHOICE(bool, canon_bool)
CANON float canon_select_f32(canon_bool c, float x, float y) { return canon_nan(c ? x : y); }

// -- casts: integers wrap; floats truncate and saturate, NaN gives 0

#define CANON_CASTS(D, T)                                                                          \
    CANON canon_i8 canon_to_i8_##D(T x) { return (canon_i8)x; }                                    \
    CANON canon_u8 canon_to_u8_##D(T x) { return (canon_u8)x; }                                    \
    CANON canon_i32 canon_to_i32_##D(T x) { return (canon_i32)x; }                                 \
    CANON canon_i64 canon_to_i64_##D(T x) { return (canon_i64)x; }                                 \
    CANON canon_bool canon_to_bool_##D(T x) { return x != 0; }
CANON_CASTS(i8, canon_i8)
CANON_CASTS(u8, canon_u8)
CANON_CASTS(i32, canon_i32)
CANON_CASTS(i64, canon_i64)
CANON_CASTS(bool, canon_bool)
CANON float canon_to_f32_i8(canon_i8 x) { return canon_raw_from_i32(x); }
CANON float canon_to_f32_u8(canon_u8 x) { return canon_raw_from_i32(x); }
CANON float canon_to_f32_i32(canon_i32 x) { return canon_raw_from_i32(x); }
CANON float canon_to_f32_i64(canon_i64 x) { return canon_raw_from_i64(x); }
CANON float canon_to_f32_bool(canon_bool x) { return canon_raw_from_i32(x); }
CANON float canon_to_f32_f32(float x) { return canon_nan(x); }
CANON canon_bool canon_to_bool_f32(float x) { return x != 0.0f; }

// The conversion sees numbers inside the dtype alone: outside, processors differ.
CANON canon_i32 canon_to_i32_f32(float x) {
    bool inside = x >= -0x1p31f && x < 0x1p31f;
    canon_i32 whole = (canon_i32)(inside ? x : 0.0f);
    return x >= 0x1p31f ? 0x7fffffff : x < -0x1p31f ? (canon_i32)0x80000000 : whole;
}
CANON canon_i64 canon_to_i64_f32(float x) {
    bool inside = x >= -0x1p63f && x < 0x1p63f;
    canon_i64 whole = (canon_i64)(inside ? x : 0.0f);
    return x >= 0x1p63f ? 0x7fffffffffffffffLL
                        : x < -0x1p63f ? (canon_i64)0x8000000000000000ULL : whole;
}
CANON canon_i8 canon_to_i8_f32(float x) {
    float high = x < 127.0f ? x : 127.0f;
    float both = high > -128.0f ? high : -128.0f;
    return (canon_i8)(canon_i32)(x == x ? both : 0.0f);
}
CANON canon_u8 canon_to_u8_f32(float x) {
    float high = x < 255.0f ? x : 255.0f;
    float both = high > 0.0f ? high : 0.0f;
    return (canon_u8)(canon_i32)(x == x ? both : 0.0f);
}
CANON float canon_bits_to_f32_i32(canon_i32 x) { return canon_nan(canon_float(x)); }
CANON canon_i32 canon_bits_of_f32_f32(float x) { return canon_bits(x); }

// clamp(((acc m + half) >> s) + zero, -128, 127), halves up. |acc m| <= 2^62, half <= 2^30 and the
// zero point is below 2^32, so 64 bits hold all of it. The shift is taken modulo 32.
CANON canon_i8 canon_requantise(canon_i32 acc, canon_i32 m, canon_i32 s, canon_i32 zero) {
    int shift = s & 31;
    canon_i64 half = (1LL << shift) >> 1;
    canon_i64 scaled = (((canon_i64)acc * m + half) >> shift) + zero;
    scaled = scaled < 127 ? scaled : 127;
    return (canon_i8)(scaled > -128 ? scaled : -128);
}

#endif
