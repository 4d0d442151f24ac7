// How far the functions of canon.h are from the truth, as the binary64 libm knows it (its own error
// is below 2^-28 of a unit here). Called through ctypes by test_transcendental.py.

#include "canon.h"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int BLOCK = 4096;

// A loop over one block; always_inline functions have no address of their own.
#define APPLY(NAME)                                                                                \
    void apply_##NAME(const float *x, float *y) {                                                  \
        for (int i = 0; i < BLOCK; i++) y[i] = canon_##NAME##_f32(x[i]);                           \
    }
APPLY(exp)
APPLY(log)
APPLY(tanh)
APPLY(erf)
APPLY(sigmoid)
APPLY(sin)
APPLY(cos)

double true_sigmoid(double x) {
    double e = std::exp(-std::fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
}

struct Function {
    void (*ours)(const float *, float *);
    double (*truth)(double);
};
const Function FUNCTIONS[] = {
    {apply_exp, std::exp}, {apply_log, std::log},         {apply_tanh, std::tanh},
    {apply_erf, std::erf}, {apply_sigmoid, true_sigmoid}, {apply_sin, std::sin},
    {apply_cos, std::cos},
};

// |got - truth| in units in the last place of the truth; infinite where the one is NaN or infinite
// and the other is not, where a NaN is not the canonical one, and where a zero has the wrong sign.
double distance(float got, double truth) {
    std::uint32_t bits;
    std::memcpy(&bits, &got, 4);
    if (truth != truth) return bits == 0x7fc00000 ? 0 : INFINITY;
    if (truth == 0) return got == 0 && std::signbit(got) == std::signbit(truth) ? 0 : INFINITY;
    double value = got;
    if (std::isinf(got)) {
        if (std::fabs(truth) >= 0x1p128) return std::signbit(got) == std::signbit(truth) ? 0 : INFINITY;
        value = std::copysign(0x1p128, value);  // as if there were one more exponent
    }
    std::uint64_t word;
    std::memcpy(&word, &truth, 8);
    int exponent = (int)(word >> 52 & 0x7ff) - 1023;
    exponent = exponent < -126 ? -126 : exponent;
    word = (std::uint64_t)(1023 + 23 - exponent) << 52;
    double units;
    std::memcpy(&units, &word, 8);
    return std::fabs(value - truth) * units;  // NaN where `got` is: the caller counts it as worst
}

}  // namespace

// Largest distance over the bit patterns from `first` on, whose magnitude is `limit` at most or
// which are NaN. `where` gets the bits of the worst operand.
extern "C" double worst_ulp(int function, std::uint32_t first, std::int64_t blocks, float limit,
                            std::uint32_t *where) {
    float x[BLOCK], y[BLOCK];
    double worst = -1;
    for (std::int64_t block = 0; block < blocks; block++) {
        for (int i = 0; i < BLOCK; i++) {
            std::uint32_t bits = first + (std::uint32_t)(block * BLOCK + i);
            std::memcpy(&x[i], &bits, 4);
        }
        FUNCTIONS[function].ours(x, y);
        for (int i = 0; i < BLOCK; i++) {
            if (std::fabs(x[i]) > limit) continue;
            double d = distance(y[i], FUNCTIONS[function].truth(x[i]));
            if (!(d <= worst)) {
                worst = d == d ? d : INFINITY;
                std::memcpy(where, &x[i], 4);
            }
        }
    }
    return worst;
}
