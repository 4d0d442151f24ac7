// Scalar functions of cuda/canon.h, applied to blocks of elements.
#pragma once

#include "machine.h"

namespace verifiable {

// Writes n results; operand j is `in[j]`, n elements or, where the kernel was asked for that, one.
// The result may be one of the operands.
using Kernel = void (*)(void* out, const void* const* in, i64 n);

// Added to the code of a function whose result may be any NaN, since every reader treats all alike.
constexpr int RAW_RESULT = 128;

// Two steps in one: EXP (of SUB), code 127, which is no code of the vocabulary.

// Kernel of a scalar function (its code) for operands of `dtype` (of SELECT: of the last two)
// where bit j of `single` says that operand j is one element alone. Null if there is none.
Kernel scalar_kernel(int function, int dtype, int single);

}  // namespace verifiable
