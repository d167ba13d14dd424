"""
One run of a check: its stages while they are done, and how it ended in words.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from secrets import token_urlsafe

from onelogin_connector.onelogin.causes import CAUSES
from onelogin_connector.service.explaining import OWN_MESSAGES
from onelogin_connector.status import Stage, StageState

OWN_SIDE = frozenset({"Webhook", "Listener"})
"""Stages that say how this side stands: nobody on the other side was asked, or has sent anything."""


class Run:
    """
    One check, while it runs and after.
    """

    def __init__(self, target: str, planned: tuple[str, ...], *, at: float) -> None:
        self.id = token_urlsafe(18)
        """By which a page asks for it."""
        self.target = target
        """The connector's id; empty for what was not saved."""
        self.planned = planned
        """Names of the stages in their order."""
        self.at = at
        """Unix seconds at which it began."""
        self.stages: list[Stage] = []
        self.done = asyncio.Event()
        self._grown = asyncio.Event()

    @property
    def ok(self) -> bool:
        """
        Tell whether no stage failed so far.
        """
        return all(stage.state is not StageState.FAILED for stage in self.stages)

    def add(self, stage: Stage) -> None:
        """
        Note that a stage is done.
        """
        self.stages.append(stage)
        self._turn()

    def finish(self) -> None:
        """
        Note that nothing more comes.
        """
        self.done.set()
        self._turn()

    def _turn(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def growing(self) -> AsyncIterator[list[Stage]]:
        """
        Give the stages each time one is added, to the end.
        """
        while True:
            grown = self._grown
            yield [*self.stages]
            if self.done.is_set():
                return
            await grown.wait()


def first_failed(stages: Sequence[Stage]) -> Stage | None:
    """
    Return the stage that failed first.
    """
    return next((stage for stage in stages if stage.state is StageState.FAILED), None)


def is_proven(stages: Sequence[Stage]) -> bool:
    """
    Tell whether a connection was seen to work: a stage passed that shows more than that this side is ready.
    """
    passed = {stage.stage for stage in stages if stage.state is StageState.PASSED}
    return first_failed(stages) is None and not passed <= OWN_SIDE


def headline(stages: Sequence[Stage]) -> str:
    """
    Say in one line how a check ended; what was seen of the answer stands with the stage.
    """
    failed = first_failed(stages)
    if failed is not None:
        return f"{failed.stage} Stage: {meaning(failed)}"
    if is_proven(stages):
        return "Connection successful"
    if any(stage.state is StageState.PASSED for stage in stages):
        return "Ready for the first event, which alone can show that the connection works"
    return f"Nothing was tested. {stages[0].message}" if stages else "Nothing was tested"


def meaning(stage: Stage) -> str:
    """
    Return what a stage's message says without what was seen this time.
    """
    said = CAUSES[stage.code].meaning if stage.code in CAUSES else stage.message
    return said if stage.message.startswith(said) else stage.message


def reason(status: int | None) -> str:
    """
    Return the reason that belongs to an HTTP status; empty if there is none.
    """
    try:
        return "" if status is None else HTTPStatus(status).phrase
    except ValueError:
        return ""


def failing(stage: str, code: str, message: str = "") -> Stage:
    """
    Return a stage that failed by a cause of our own.
    """
    said, action = OWN_MESSAGES[code]
    return Stage(stage, StageState.FAILED, message or said, action, code=code)
