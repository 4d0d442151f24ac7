"""Players who are not quite honest, or not quite awake."""

from dataclasses import dataclass, replace

import numpy as np

from verifiable.dispute.moves import Move, Reveal, RevealPartials
from verifiable.dispute.players import Player
from verifiable.dispute.refutation import OwnRunError
from verifiable.dispute.view import GameView
from verifiable.types import Address


@dataclass(frozen=True)
class Blind:
    """A challenger whose own run is wrong, and who does not mind."""

    player: Player

    @property
    def me(self) -> Address:
        return self.player.me

    def next(self, view: GameView, /) -> Move | None:
        try:
            return self.player.next(view)
        except OwnRunError:
            return None


@dataclass(frozen=True)
class Silent:
    """Answers so many demands, and then no more."""

    player: Player
    answers: int

    @property
    def me(self) -> Address:
        return self.player.me

    def next(self, view: GameView, /) -> Move | None:
        move = self.player.next(view)
        return None if isinstance(move, Reveal) and len(view.reveals) >= self.answers else move


@dataclass(frozen=True)
class Stubborn:
    """Makes one move, whatever the chain says."""

    me: Address
    move: Move

    def next(self, _: GameView, /) -> Move | None:
        return self.move


@dataclass(frozen=True)
class Cooking:
    """A proposer who makes up the result of one piece, so that all of them give his element."""

    player: Player
    piece: int
    by: int

    @property
    def me(self) -> Address:
        return self.player.me

    def next(self, view: GameView, /) -> Move | None:
        move = self.player.next(view)
        if not isinstance(move, RevealPartials):
            return move
        words = np.frombuffer(move.partials, ">i4").copy()
        words[self.piece] += self.by
        return replace(move, partials=words.tobytes())
