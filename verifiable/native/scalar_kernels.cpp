#include "scalar_kernels.h"

// One element's program is a long chain; of several, interleaved, more is at work at a time. This
// changes the order of instructions, and of nothing that is rounded.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#pragma GCC optimize("schedule-insns", "sched-pressure")
#endif

#include "canon.h"

namespace verifiable {

namespace {

// Codes of verifiable.graph.vocabulary.Scalar.
enum Function {
    ADD = 0, SUB = 1, MUL = 2, DIV = 3, FMA = 4, REM = 5, NEG = 6, ABS = 7, MIN = 8, MAX = 9,
    SQRT = 16, EXP = 17, LOG = 18, TANH = 19, ERF = 20, SIGMOID = 21, SIN = 22, COS = 23,
    FLOOR = 24, ROUND = 25, LT = 32, LE = 33, EQ = 34, NOT = 40, AND = 41, OR = 42, XOR = 43,
    SHL = 44, SHR = 45, SELECT = 48, QUANTISED = 126, EXP_OF_DIFFERENCE = 127,
    TO_F32 = 56, TO_I8 = 57, TO_U8 = 58, TO_I32 = 59, TO_I64 = 60, TO_BOOL = 61,
    BITS_TO_F32 = 62, BITS_OF_F32 = 63, REQUANTISE = 64
};

// The result may be an operand, element for element: then no iteration reads what another wrote.
template <class R, class A, R (*F)(A)>
void unary(void* out, const void* const* in, i64 n) {
    auto to = (R*)out;
    auto a = (const A*)in[0];
#pragma GCC ivdep
#pragma GCC unroll 3
    for (i64 i = 0; i < n; ++i) to[i] = F(a[i]);
}

template <class R, class A, R (*F)(A, A), int SINGLE>
void binary(void* out, const void* const* in, i64 n) {
    auto to = (R*)out;
    auto a = (const A*)in[0];
    auto b = (const A*)in[1];
    if constexpr (SINGLE == 1) {
        const A one = *a;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) to[i] = F(one, b[i]);
    } else if constexpr (SINGLE == 2) {
        const A one = *b;
#pragma GCC ivdep
#pragma GCC unroll 3
        for (i64 i = 0; i < n; ++i) to[i] = F(a[i], one);
    } else {
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) to[i] = F(a[i], b[i]);
    }
}

template <class R, class A, class B, R (*F)(A, B, B), int SINGLE>
void ternary(void* out, const void* const* in, i64 n) {
    auto to = (R*)out;
    auto a = (const A*)in[0];
    auto b = (const B*)in[1];
    auto c = (const B*)in[2];
    const A a0 = *a;
    const B b0 = *b, c0 = *c;
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i)
        to[i] = F(SINGLE & 1 ? a0 : a[i], SINGLE & 2 ? b0 : b[i], SINGLE & 4 ? c0 : c[i]);
}

template <int SINGLE>
void requantise(void* out, const void* const* in, i64 n) {
    auto to = (canon_i8*)out;
    auto acc = (const canon_i32*)in[0];
    auto m = (const canon_i32*)in[1];
    auto s = (const canon_i32*)in[2];
    auto zero = (const canon_i32*)in[3];
    if constexpr (SINGLE != 0) {
        const canon_i32 m0 = *m, s0 = *s, zero0 = *zero;
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) to[i] = canon_requantise(acc[i], m0, s0, zero0);
    } else {
#pragma GCC ivdep
        for (i64 i = 0; i < n; ++i) to[i] = canon_requantise(acc[i], m[i], s[i], zero[i]);
    }
}

// Rounding to even leaves integers of eight bits as they are and turns no order around, so bounds may
// come first. What is then added to the rounder shows in its last bits.
void quantised(void* out, const void* const* in, i64 n) {
    auto to = (canon_i8*)out;
    auto x = (const float*)in[0];
    const float scale = *(const float*)in[1];
    const float low = *(const float*)in[2], high = *(const float*)in[3];
#pragma GCC ivdep
    for (i64 i = 0; i < n; ++i) {
        const float scaled = canon_raw_mul(x[i], scale);
        float inside = scaled < high ? scaled : high;
        inside = inside > low ? inside : low;
        const int whole = canon_bits(canon_raw_add(inside, CANON_ROUNDER));
        to[i] = (canon_i8)(scaled == scaled ? whole : 0);
    }
}

CANON float raw_neg(float x) { return -x; }

// As of a softmax; the difference reaches exp alone, which treats all NaNs alike.
CANON float exp_of_difference(float x, float y) { return canon_exp_f32(canon_raw_sub(x, y)); }

template <class R, class A, R (*F)(A, A)>
Kernel pick_binary(int single) {
    switch (single) {
        case 0: return binary<R, A, F, 0>;
        case 1: return binary<R, A, F, 1>;
        case 2: return binary<R, A, F, 2>;
    }
    return nullptr;
}

template <class R, class A, class B, R (*F)(A, B, B)>
Kernel pick_ternary(int single) {
    switch (single) {
        case 0: return ternary<R, A, B, F, 0>;
        case 1: return ternary<R, A, B, F, 1>;
        case 2: return ternary<R, A, B, F, 2>;
        case 3: return ternary<R, A, B, F, 3>;
        case 4: return ternary<R, A, B, F, 4>;
        case 5: return ternary<R, A, B, F, 5>;
        case 6: return ternary<R, A, B, F, 6>;
    }
    return nullptr;
}

}  // namespace

#define RAW(FUNCTION) (FUNCTION + RAW_RESULT)
#define AT(FUNCTION, DTYPE) case FUNCTION * 8 + DTYPE
#define UNARY(FUNCTION, DTYPE, R, A, NAME) \
    AT(FUNCTION, DTYPE): return single ? nullptr : (Kernel)unary<R, A, NAME>;
#define BINARY(FUNCTION, DTYPE, R, A, NAME) \
    AT(FUNCTION, DTYPE): return pick_binary<R, A, NAME>(single);
#define TERNARY(FUNCTION, DTYPE, R, A, B, NAME) \
    AT(FUNCTION, DTYPE): return pick_ternary<R, A, B, NAME>(single);

#define ARITHMETIC(DTYPE, T, SUFFIX)              \
    BINARY(ADD, DTYPE, T, T, canon_add_##SUFFIX)  \
    BINARY(SUB, DTYPE, T, T, canon_sub_##SUFFIX)  \
    BINARY(MUL, DTYPE, T, T, canon_mul_##SUFFIX)  \
    BINARY(DIV, DTYPE, T, T, canon_div_##SUFFIX)  \
    UNARY(NEG, DTYPE, T, T, canon_neg_##SUFFIX)   \
    UNARY(ABS, DTYPE, T, T, canon_abs_##SUFFIX)

#define SHIFTS(DTYPE, T, SUFFIX)                  \
    BINARY(REM, DTYPE, T, T, canon_rem_##SUFFIX)  \
    BINARY(SHL, DTYPE, T, T, canon_shl_##SUFFIX)  \
    BINARY(SHR, DTYPE, T, T, canon_shr_##SUFFIX)

#define LOGIC(DTYPE, T, SUFFIX)                   \
    UNARY(NOT, DTYPE, T, T, canon_not_##SUFFIX)   \
    BINARY(AND, DTYPE, T, T, canon_and_##SUFFIX)  \
    BINARY(OR, DTYPE, T, T, canon_or_##SUFFIX)    \
    BINARY(XOR, DTYPE, T, T, canon_xor_##SUFFIX)

#define ANY(DTYPE, T, SUFFIX)                                         \
    BINARY(MIN, DTYPE, T, T, canon_min_##SUFFIX)                      \
    BINARY(MAX, DTYPE, T, T, canon_max_##SUFFIX)                      \
    BINARY(LT, DTYPE, canon_bool, T, canon_lt_##SUFFIX)               \
    BINARY(LE, DTYPE, canon_bool, T, canon_le_##SUFFIX)               \
    BINARY(EQ, DTYPE, canon_bool, T, canon_eq_##SUFFIX)               \
    TERNARY(SELECT, DTYPE, T, canon_bool, T, canon_select_##SUFFIX)   \
    UNARY(TO_F32, DTYPE, float, T, canon_to_f32_##SUFFIX)             \
    UNARY(TO_I8, DTYPE, canon_i8, T, canon_to_i8_##SUFFIX)            \
    UNARY(TO_U8, DTYPE, canon_u8, T, canon_to_u8_##SUFFIX)            \
    UNARY(TO_I32, DTYPE, canon_i32, T, canon_to_i32_##SUFFIX)         \
    UNARY(TO_I64, DTYPE, canon_i64, T, canon_to_i64_##SUFFIX)         \
    UNARY(TO_BOOL, DTYPE, canon_bool, T, canon_to_bool_##SUFFIX)

Kernel scalar_kernel(int function, int dtype, int single) {
    if (dtype < F32 || dtype > BOOL) return nullptr;
    switch (function * 8 + dtype) {
        ARITHMETIC(F32, float, f32)
        ARITHMETIC(I32, canon_i32, i32)
        ARITHMETIC(I64, canon_i64, i64)
        SHIFTS(I32, canon_i32, i32)
        SHIFTS(I64, canon_i64, i64)
        LOGIC(BOOL, canon_bool, bool)
        LOGIC(I32, canon_i32, i32)
        LOGIC(I64, canon_i64, i64)
        ANY(F32, float, f32)
        ANY(I8, canon_i8, i8)
        ANY(U8, canon_u8, u8)
        ANY(I32, canon_i32, i32)
        ANY(I64, canon_i64, i64)
        ANY(BOOL, canon_bool, bool)
        UNARY(SQRT, F32, float, float, canon_sqrt_f32)
        UNARY(EXP, F32, float, float, canon_exp_f32)
        UNARY(LOG, F32, float, float, canon_log_f32)
        UNARY(TANH, F32, float, float, canon_tanh_f32)
        UNARY(ERF, F32, float, float, canon_erf_f32)
        UNARY(SIGMOID, F32, float, float, canon_sigmoid_f32)
        UNARY(SIN, F32, float, float, canon_sin_f32)
        UNARY(COS, F32, float, float, canon_cos_f32)
        UNARY(FLOOR, F32, float, float, canon_floor_f32)
        UNARY(ROUND, F32, float, float, canon_round_f32)
        UNARY(BITS_TO_F32, I32, float, canon_i32, canon_bits_to_f32_i32)
        UNARY(BITS_OF_F32, F32, canon_i32, float, canon_bits_of_f32_f32)
        TERNARY(FMA, F32, float, float, float, canon_fma_f32)
        BINARY(RAW(ADD), F32, float, float, canon_raw_add)
        BINARY(RAW(SUB), F32, float, float, canon_raw_sub)
        BINARY(RAW(MUL), F32, float, float, canon_raw_mul)
        BINARY(RAW(DIV), F32, float, float, canon_raw_div)
        UNARY(RAW(NEG), F32, float, float, raw_neg)
        UNARY(RAW(SQRT), F32, float, float, canon_raw_sqrt)
        TERNARY(RAW(FMA), F32, float, float, float, canon_raw_fma)
        BINARY(EXP_OF_DIFFERENCE, F32, float, float, exp_of_difference)
        AT(QUANTISED, F32): return single == 0 || single == 14 ? quantised : nullptr;
        AT(REQUANTISE, I32):
            return single == 0 ? requantise<0> : single == 14 ? requantise<14> : nullptr;
    }
    return nullptr;
}

}  // namespace verifiable
