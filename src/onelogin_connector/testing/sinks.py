"""
What tests of sinks share: a contract that every sink keeps, and a sink that does what its script says.

A sink's tests subclass ``SinkContract``, define ``make``, and add what is special. The suite needs no
plugin: each test runs its own event loop.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Struct

from onelogin_connector.errors import ConnectorError, Partly, Refused, TooLarge
from onelogin_connector.event import Entry
from onelogin_connector.setting import about, settings_of
from onelogin_connector.sinks import registry
from onelogin_connector.sinks.base import Limits, Sink, Stage, StageState, Tell, silent
from onelogin_connector.testing.records import A_MOMENT_US, HOSTILE, entry

__all__ = ["A_MOMENT_US", "HOSTILE", "FakeSink", "SinkContract", "Step", "entry"]


@dataclass(frozen=True, slots=True)
class Step:
    """
    What a ``FakeSink`` does at one ``send``.
    """

    error: Exception | None = None
    accepts: bool = False
    """Whether the batch was accepted although the error says otherwise, as when an answer is lost."""
    hangs: bool = False
    refuses: frozenset[int] = frozenset()
    """Positions, modulo the batch's length."""
    settles: int | None = None
    """How many of the first records are settled, where it is less than all; ``error`` is why."""


class FakeSink:
    """
    A destination in memory that follows a script, and accepts everything at its end.
    """

    kind: ClassVar[str] = "fake"
    wants_twins: ClassVar[bool] = False
    stages: ClassVar[tuple[str, ...]] = ("memory",)

    class Settings(Struct, frozen=True, forbid_unknown_fields=True):
        """
        Settings of a sink that exists in tests alone.
        """

        colour: Annotated[str, about("What it would look like.", example="green")] = "grey"

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        script: Iterable[Step] = (),
        most: int | None = None,
        refuse: Callable[[Entry], str | None] = lambda _: None,
        keeps_position: bool = False,
    ) -> None:
        """
        Make a sink.

        Args:
            most: Records above which a batch is ``TooLarge``.
            refuse: Why a record is refused whenever it comes, or None.
            keeps_position: Whether it commits its own position with each batch.
        """
        self.limits = limits or Limits(records=10, size_bytes=100_000)
        self.script = deque(script)
        self.accepted: list[Entry] = []
        """What was accepted, in order and with repeats."""
        self.position: int | None = 0 if keeps_position else None
        self.batches: list[list[int]] = []
        """Offsets of every batch that was sent."""
        self.opened = 0
        self.closed = 0
        self._most = most
        self._refuse = refuse

    async def open(self) -> int | None:
        """
        See ``Sink``.
        """
        self.opened += 1
        return self.position

    async def check(self, tell: Tell = silent) -> list[Stage]:
        """
        See ``Sink``.
        """
        tell(stage := Stage("memory", StageState.PASSED, "There is room."))
        return [stage]

    async def send(self, batch: Sequence[Entry]) -> None:
        """
        Follow the script.
        """
        step = self.script.popleft() if self.script else Step()
        self.batches.append([record.offset for record in batch])
        if step.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if self._most is not None and len(batch) > self._most:
            raise TooLarge
        refused = {position % len(batch): "It stood in the script." for position in step.refuses}
        refused |= {at: why for at, record in enumerate(batch) if (why := self._refuse(record)) is not None}
        if step.settles is not None and 0 < step.settles < len(batch) and self.position is None:
            self._accept([record for at, record in enumerate(batch[: step.settles]) if at not in refused])
            now = {at: why for at, why in refused.items() if at < step.settles}
            then = step.error if isinstance(step.error, ConnectorError) else None
            raise Partly(settled=step.settles, refused=now, then=then)
        if step.error is not None:
            if step.accepts:
                self._accept(batch)
            raise step.error
        if refused:
            if self.position is None:
                self._accept([record for at, record in enumerate(batch) if at not in refused])
            raise Refused(refused)
        self._accept(batch)
        await asyncio.sleep(0)

    def _accept(self, batch: Sequence[Entry]) -> None:
        if self.position is not None:
            batch = [record for record in batch if record.offset > self.position or not record.offset]
            self.position = max([self.position, *(record.offset for record in batch)])
        self.accepted += batch

    async def close(self) -> None:
        """
        See ``Sink``.
        """
        self.closed += 1


class SinkContract(ABC):
    """
    What every sink keeps. Subclass it, define ``make``, and let pytest find the subclass.
    """

    repeats: ClassVar[bool] = True
    """Whether a batch that is sent again may be there twice."""
    poison: ClassVar[bytes | None] = None
    """A record that the sink refuses, where there is one."""

    @abstractmethod
    def make(self, folder: Path) -> Sink:
        """
        Return a new sink on the same destination, which may keep its files in ``folder``.
        """

    def settings(self) -> type[Struct]:
        """
        Return the sink's settings struct.
        """
        return registry.settings_type(self.make(Path()).kind)

    def received(self, sink: Sink) -> list[bytes] | None:
        """
        Return the raw records at the destination, or None where it cannot be looked into.
        """
        return None

    def test_kind_names_the_sink(self, tmp_path: Path) -> None:
        """
        The kind is a name in lower snake case, as it stands in the configuration.
        """
        kind = self.make(tmp_path).kind
        assert kind.isidentifier()
        assert kind == kind.lower()

    def test_limits_are_sane(self, tmp_path: Path) -> None:
        """
        A batch holds at least one record of usual size and waits no longer than some seconds.
        """
        limits = self.make(tmp_path).limits
        assert 1 <= limits.records <= 100_000
        assert 10_000 <= limits.size_bytes <= 64 << 20
        assert 0 <= limits.max_batch_seconds <= 60

    def test_every_setting_is_described(self) -> None:
        """
        The settings refuse unknown keys, cannot be changed, and each says what it does.
        """
        struct = self.settings()
        assert struct.__struct_config__.forbid_unknown_fields
        assert struct.__struct_config__.frozen
        for setting in settings_of(struct):
            assert setting.description.endswith("."), f"{setting.name}: describe it in a sentence"

    def test_check_gives_stages(self, tmp_path: Path) -> None:
        """
        A check names its stages ahead and tells each when it is done; what failed says what to do.
        """
        told: list[Stage] = []

        async def check(sink: Sink) -> tuple[list[str], list[Stage]]:
            return list(sink.stages), await sink.check(told.append)

        names, stages = self._run(tmp_path, check)
        assert stages == told
        assert [stage.stage for stage in stages] == names
        assert stages
        for stage in stages:
            assert stage.stage
            assert stage.message
            assert stage.action or stage.state is not StageState.FAILED

    def test_a_batch_arrives(self, tmp_path: Path) -> None:
        """
        What was sent is at the destination.
        """
        batch = [entry(offset) for offset in (1, 2, 3)]

        async def send(sink: Sink) -> list[bytes] | None:
            await sink.send(batch)
            return self.received(sink)

        found = self._run(tmp_path, send)
        assert found is None or sorted(found) == sorted(record.raw for record in batch)

    def test_a_batch_may_come_again(self, tmp_path: Path) -> None:
        """
        After a lost answer the same batch comes again; nothing is missing then, and nothing is harmed.
        """
        batch = [entry(offset) for offset in (1, 2, 3)]

        async def send_twice(sink: Sink) -> list[bytes] | None:
            await sink.send(batch)
            await sink.send(batch)
            await sink.send([entry(4)])
            return self.received(sink)

        found = self._run(tmp_path, send_twice)
        if found is not None:
            assert set(found) == {record.raw for record in [*batch, entry(4)]}
            assert self.repeats or len(found) == len(set(found)), "the sink promises each record once"

    def test_hostile_records_harm_only_themselves(self, tmp_path: Path) -> None:
        """
        Whatever a record holds, the sink takes it or refuses it by its position, and the good one arrives.
        """
        good = entry(len(HOSTILE) + 1)

        async def send(sink: Sink) -> list[bytes] | None:
            for offset, raw in enumerate(HOSTILE, start=1):
                refused = await _refusals(sink, [entry(offset, raw)])
                assert set(refused) <= {0}
                assert all(refused.values())
            await sink.send([good])
            return self.received(sink)

        found = self._run(tmp_path, send)
        assert found is None or good.raw in found

    def test_poison_is_refused_alone(self, tmp_path: Path) -> None:
        """
        A record that is never accepted is named; one that keeps its own position commits nothing with it.
        """
        if self.poison is None:
            return
        batch = [entry(1), entry(2, self.poison), entry(3)]

        async def send(sink: Sink) -> tuple[int | None, list[bytes] | None]:
            before = await sink.open()
            assert set(await _refusals(sink, batch)) == {1}
            assert await sink.open() == before, "the position moved although a record was refused"
            return before, self.received(sink)

        before, found = self._run(tmp_path, send)
        if found is not None:
            assert sorted(found) == ([] if before is not None else sorted([batch[0].raw, batch[2].raw]))

    def test_own_position_survives(self, tmp_path: Path) -> None:
        """
        A sink that keeps its own position has it after it was closed and opened; others say None.
        """

        async def send(sink: Sink) -> int | None:
            before = await sink.open()
            await sink.send([entry(1), entry(2)])
            return before

        before = self._run(tmp_path, send)
        after = self._run(tmp_path, lambda sink: sink.open())
        assert (before, after) in {(None, None), (0, 2)}

    def test_a_replayed_record_is_taken(self, tmp_path: Path) -> None:
        """
        A record with offset 0 comes outside the order: it is kept, once, and moves no position.
        """

        async def send(sink: Sink) -> tuple[int | None, list[bytes] | None]:
            await sink.send([entry(5)])
            before = await sink.open()
            replayed = _with_offset(entry(3), 0)
            await sink.send([replayed])
            assert await sink.open() == before
            return before, self.received(sink)

        _, found = self._run(tmp_path, send)
        assert found is None or sorted(found) == sorted([entry(3).raw, entry(5).raw])

    def test_closing_twice_is_harmless(self, tmp_path: Path) -> None:
        """
        A sink may be closed again, and before it was opened.
        """

        async def close() -> None:
            sink = self.make(tmp_path)
            await sink.close()
            await sink.close()

        asyncio.run(close())

    def _run(self, folder: Path, act: Callable[[Sink], Any]) -> Any:
        async def story() -> Any:
            sink = self.make(folder)
            await sink.open()
            try:
                return await act(sink)
            except ConnectorError as error:
                raise AssertionError(f"the sink raised {type(error).__name__}: {error}") from error
            finally:
                await sink.close()

        return asyncio.run(story())


async def _refusals(sink: Sink, batch: Sequence[Entry]) -> dict[int, str]:
    """
    Send a batch as the delivery loop does, and return what was refused of it.
    """
    refused: dict[int, str] = {}
    done = 0
    while done < len(batch):
        reasons: dict[int, str] = {}
        settled = most = len(batch) - done
        try:
            await sink.send(batch[done:])
        except Partly as error:
            settled, reasons, most = error.settled, error.refused, most - 1
        except Refused as error:
            reasons = error.reasons
        except TooLarge as error:
            reasons = {0: error.message}
        assert 0 < settled <= most, "a part is neither nothing nor all"
        assert all(0 <= at < settled for at in reasons), "only settled records are refused"
        refused |= {done + at: why for at, why in reasons.items()}
        done += settled
    return refused


def _with_offset(record: Entry, offset: int) -> Entry:
    return Entry(**({name: getattr(record, name) for name in record.__struct_fields__} | {"offset": offset}))
