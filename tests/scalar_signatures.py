"""Every scalar function on every dtype that canon/1 defines it for."""

from collections.abc import Iterator

from verifiable.graph.vocabulary import SIGNATURES, DType, Scalar, scalar_result

Signature = tuple[Scalar, tuple[DType, ...], DType]
"""Function, dtypes of its operands, dtype that it gives."""


def signatures() -> Iterator[Signature]:
    """In the order of the vocabulary."""
    for function, signature in SIGNATURES.items():
        for dtype in DType:
            dtypes = (dtype,) * signature.arity
            if function is Scalar.SELECT:
                dtypes = (DType.BOOL, dtype, dtype)
            gives = scalar_result(function, dtypes)
            if gives is not None:
                yield function, dtypes, gives
