"""A gate that lets so many inside at once, first come first served, and whose room may change."""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """Lets `room` callers in at once; the others wait in line."""

    def __init__(self, room: float) -> None:
        self.inside = 0
        self._room = float(room)
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def room(self) -> float:
        """How many may be inside; a part of one counts for nothing yet."""
        return self._room

    @room.setter
    def room(self, room: float) -> None:
        self._room = room
        self._let_in()

    async def enter(self) -> None:
        """Wait for a place and take it."""
        if not self._line and self.inside + 1 <= self._room:
            self.inside += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # let in and called off in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.inside -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._line and self.inside + 1 <= self._room:
            place = self._line.popleft()
            if not place.done():
                self.inside += 1
                place.set_result(None)
