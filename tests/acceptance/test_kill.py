"""
Kill -9 under load, again and again: nothing acknowledged is missing, nothing is there twice (G1, G2, G3).
"""

import asyncio
import json
import random
from collections import Counter

import pytest

ROUNDS = 20
LEAST_ACKNOWLEDGED = 1_000
LANES = 8


def body_of(names: list[str]) -> bytes:
    """
    Write a batch of ten events as OneLogin would; equal but for their ids, so that only those tell them apart.
    """
    return json.dumps(
        [
            {
                "uuid": name,
                "event_timestamp": "2026-11-21 09:30:00 UTC",
                "account_id": 1,
                "event_type_id": 5,
                "user_id": 7,
                "notes": "x" * 400,
            }
            for name in names
        ]
    ).encode()


class Sender:
    """
    A sender that knows what was acknowledged, and sends the rest again after a restart, as OneLogin may.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.sent = 0
        self.acknowledged: set[str] = set()
        self.open: list[list[str]] = []
        """Batches on their way when the connection broke: kept or not, nobody knows."""

    def next(self) -> list[str]:
        if self.open:
            return self.open.pop()
        self.sent += 1
        return [f"{self.sent:08x}-0000-4000-8000-{n:012x}" for n in range(10)]

    async def lane(self, port: int) -> None:
        """
        Send batch after batch until the connection breaks.
        """
        names: list[str] = []
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                names = self.next()
                body = body_of(names)
                writer.write(
                    b"POST /webhook/default HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (self.token.encode(), len(body), body)
                )
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                assert head.startswith(b"HTTP/1.1 200"), head
                self.acknowledged.update(names)
        except (OSError, asyncio.IncompleteReadError):
            self.open.append(names)
        finally:
            if writer:
                writer.close()

    async def until_killed(self, port: int, kill, seconds: float) -> None:
        lanes = [asyncio.create_task(self.lane(port)) for _ in range(LANES)]
        await asyncio.sleep(seconds)
        kill()
        await asyncio.gather(*lanes)


@pytest.mark.timeout(900)
def test_killed_under_load_many_times(program):
    """
    Twenty kills at random moments: every acknowledged event is in the store, none twice, none made up.
    """
    chance = random.Random(7)
    program.start()
    sender = Sender(program.token)
    rounds = 0
    # where the disk is slow, so many kills leave too little that was acknowledged to be missed
    while rounds < ROUNDS or len(sender.acknowledged) <= LEAST_ACKNOWLEDGED:
        rounds += 1
        asyncio.run(sender.until_killed(program.port, program.process.kill, chance.uniform(0.02, 0.6)))
        program.kill()
        program.start()
    program.drained()
    found = Counter(row["uuid_g"] for row in program.rows("OneLogin_CL | project uuid_g"))
    assert len(sender.acknowledged) > LEAST_ACKNOWLEDGED
    assert sender.acknowledged - set(found) == set()
    assert [name for name, times in found.items() if times > 1] == []
    everything = {
        f"{batch:08x}-0000-4000-8000-{n:012x}" for batch in range(1, sender.sent + 1) for n in range(10)
    }
    assert set(found) <= everything
    # per request all or nothing: no batch is there in part
    assert all(times == 10 for times in Counter(name[:8] for name in found).values())
    assert "Traceback" not in program.log()
