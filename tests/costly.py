"""Properties whose examples take tens of milliseconds: a few in `make test`, all of them after."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings  # noqa: TID251 (a share of the profile's examples)
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.strategies import SearchStrategy

SHARE = 12
"""Of so many examples that the profile asks for, one is tried in `make test`."""
FEWEST = 20


def costly(*unnamed: SearchStrategy[Any], **named: SearchStrategy[Any]) -> Callable[..., Any]:
    """Like hypothesis's `given`, as two tests: ``few`` examples, and ``all``, which is slow."""

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        every = given(*unnamed, **named)(body)
        asked = settings.default.max_examples  # type: ignore[union-attr]
        few = settings(max_examples=min(asked, max(FEWEST, asked // SHARE)))(
            given(*unnamed, **named)(body)
        )
        runs = {"few": few, "all": every}

        def run(examples: str, **fixtures: object) -> None:
            runs[examples](**fixtures)

        run.__name__, run.__doc__, run.__module__ = body.__name__, body.__doc__, body.__module__
        # pytest reads from it which fixtures to bring.
        first = inspect.Parameter("examples", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        rest = inspect.signature(every).parameters.values()
        run.__signature__ = inspect.Signature([first, *rest])  # type: ignore[attr-defined]
        return pytest.mark.parametrize(
            "examples", ["few", pytest.param("all", marks=pytest.mark.slow)]
        )(run)

    return decorate


def costly_machine(machine: type[RuleBasedStateMachine]) -> tuple[Any, Any]:
    """Test cases of a state machine: of few games, and of all, which is slow."""
    asked = settings.default.max_examples  # type: ignore[union-attr]
    few: Any = type(f"Few{machine.__name__}", (machine.TestCase,), {})
    few.settings = settings(max_examples=min(asked, max(FEWEST, asked // SHARE)))
    every: Any = type(f"All{machine.__name__}", (machine.TestCase,), {})
    return few, pytest.mark.slow(every)
