"""PTX as data: a module's kernels, their parameters, variables and instructions."""

import re
from dataclasses import dataclass, field

WIDTHS = {"pred": 0, **{f"{kind}{bits}": bits for kind in "busf" for bits in (8, 16, 32, 64)}}


@dataclass(frozen=True)
class Instruction:
    """One instruction; `guard` is a predicate register and whether it is negated."""

    op: str
    args: tuple[str, ...]
    guard: tuple[str, bool] | None


@dataclass
class Kernel:
    """One entry point."""

    name: str
    params: list[tuple[str, int]] = field(default_factory=list)
    """Name and bytes."""
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    """Bits of the registers of each prefix, 0 for predicates."""
    shared: dict[str, int] = field(default_factory=dict)
    """Offset of each shared variable."""
    shared_size: int = 0
    local_size: int = 0
    bound: int | None = None
    """Most threads of a block."""


@dataclass
class Module:
    """What one compilation gives."""

    kernels: dict[str, Kernel]
    constants: dict[str, bytes]
    """Initialised variables of the module, by name."""


_VARIABLE = re.compile(
    r"\.(shared|local|global|const)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$.]+)"
    r"(?:\[(\d*)\])?(?:\s*=\s*(.*))?",
    re.DOTALL,
)


def parse(text: str) -> Module:
    """Parse a module as NVRTC writes it."""
    text = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    module = Module({}, {})
    shared: list[tuple[str, int, int]] = []
    head, *entries = re.split(r"\.visible\s+\.entry\s+", text)
    # Variables of the module may stand between kernels as well.
    for part in (head, *(entry[_body_end(entry) :] for entry in entries)):
        _module_variables(part, module, shared)
    for entry in entries:
        kernel = _kernel(entry[: _body_end(entry)], shared)
        module.kernels[kernel.name] = kernel
    return module


def _body_end(entry: str) -> int:
    end = re.search(r"^\}", entry, re.MULTILINE)
    assert end is not None
    return end.end()


def _module_variables(text: str, module: Module, shared: list[tuple[str, int, int]]) -> None:
    for statement in text.split(";"):
        found = _VARIABLE.search(statement)
        if found is None:
            assert ".func" not in statement, "calls are not interpreted"
            continue
        space, align, kind, name, count, value = found.groups()
        size = WIDTHS[kind] // 8 * int(count or 1)
        if space == "shared":
            shared.append((name, int(align or 4), size))
        else:
            numbers = [int(v, 0) for v in re.findall(r"-?(?:0x[0-9a-fA-F]+|\d+)", value or "")]
            width = WIDTHS[kind] // 8
            data = b"".join((v % 256**width).to_bytes(width, "little") for v in numbers)
            module.constants[name] = data.ljust(size, b"\0")


def _kernel(entry: str, shared: list[tuple[str, int, int]]) -> Kernel:
    head, _, body = entry.partition("\n{")
    name = re.match(r"[\w$]+", head)
    assert name is not None
    kernel = Kernel(name[0])
    for kind, param in re.findall(r"\.param\s+\.(\w+)\s+(?:\.ptr[^,)]*?)?(\w+)(?=[,\s)])", head):
        kernel.params.append((param, WIDTHS[kind] // 8))
    bound = re.search(r"\.maxntid\s+(\d+)", head)
    kernel.bound = int(bound[1]) if bound else None
    for variable, align, size in shared:
        if variable in body:
            _place(kernel, variable, align, size)
    for statement in _statements(body):
        _statement(kernel, statement)
    return kernel


def _place(kernel: Kernel, name: str, align: int, size: int) -> None:
    start = -(-kernel.shared_size // align) * align
    kernel.shared[name] = start
    kernel.shared_size = start + size


def _statements(body: str) -> list[str]:
    # Scopes of inline assembly hold no declarations of ours; their braces stand alone on a line.
    lines = [line for line in body.split("\n") if line.strip() not in {"{", "}"}]
    joined = re.sub(r"^(\$?[\w$]+):", r"\1:;", "\n".join(lines), flags=re.MULTILINE)
    return [part.strip() for part in joined.split(";") if part.strip()]


def _statement(kernel: Kernel, statement: str) -> None:
    if statement.startswith(".reg"):
        found = re.match(r"\.reg\s+\.(\w+)\s+(%\w+)", statement)
        assert found is not None
        kernel.widths[found[2].rstrip("0123456789")] = WIDTHS[found[1]]
    elif statement.startswith((".shared", ".local")):
        found = _VARIABLE.match(statement)
        assert found is not None
        space, align, kind, name, count, _ = found.groups()
        size = WIDTHS[kind] // 8 * int(count or 1)
        if space == "shared":
            _place(kernel, name, int(align or 4), size)
        else:
            assert not kernel.local_size, "one local depot"
            kernel.local_size = size
    elif statement.startswith("."):
        assert re.match(r"\.(pragma|loc)\b", statement), statement
    elif statement.endswith(":"):
        kernel.labels[statement[:-1]] = len(kernel.instructions)
    else:
        kernel.instructions.append(_instruction(statement))


def _instruction(statement: str) -> Instruction:
    found = re.match(r"(?:@(!?)(%\w+)\s+)?([\w.:]+)\s*(.*)", statement, re.DOTALL)
    assert found is not None, statement
    negated, predicate, op, rest = found.groups()
    args = tuple(part.strip() for part in re.findall(r"(?:\{[^}]*\}|\[[^\]]*\]|[^,{\[])+", rest))
    return Instruction(op, args, (predicate, bool(negated)) if predicate else None)
