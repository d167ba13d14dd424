"""
Settle the records of one call, where the service accepts a call as a whole or not at all.

The service does not say which record it refuses, so a call that was refused goes again in halves until the first
record at fault is found. Records are settled from the first on, without a gap: at every moment those before some
position are accepted, and nothing of those behind it. ``Partly`` says that position, the delivery loop puts it into
the checkpoint, and so no record that was accepted goes again, however the next call ends. Only a call whose answer
was lost may have been accepted although it failed; nobody can know, and its records go again.

Each record that is refused ends the search: what lies behind it goes with the next batch, most likely in one call.
"""

from collections.abc import Awaitable, Callable

from onelogin_connector.errors import ConnectorError, Partly, Refused, TooLarge

Post = Callable[[int, int], Awaitable[None]]
"""
(first, end) → posts these records. Raises ``Refused`` or ``TooLarge`` where nothing of the call was accepted and a
part of it may be; any other error ends the attempt.
"""
Outcome = tuple[int, dict[int, str], ConnectorError | None]
"""
How many records are settled, what of them was refused (the last one, or nothing), and what other error ended the
search, if one did.
"""
Prove = Callable[[], Awaitable[None]]
"""Shows that the service accepts anything at all; raises what is wrong where it does not."""


async def settle(count: int, post: Post, *, of: int | None = None, prove: Prove | None = None) -> None:
    """
    Bring the first records of a batch to the service.

    Args:
        count: How many go in the first call, at least one.
        of: How many the batch has, where they are more.
        prove: Asked once before a record is held to be at fault.

    Raises:
        Partly: Some are settled, and not all of the batch.
        Refused: All of the batch is settled, and the last record was refused.
        ConnectorError: Nothing is settled.
    """
    outcome: Outcome = (count, {}, None)
    try:
        await post(0, count)
    except (Refused, TooLarge) as error:
        if prove is not None and isinstance(error, Refused):
            await prove()
        outcome = await _search(count, post, error)
    settled, refused, then = outcome
    if then is not None and not settled:
        raise then
    if settled < (count if of is None else of):
        raise Partly(settled=settled, refused=refused, then=then)
    if refused:
        raise Refused(refused)


async def _search(count: int, post: Post, error: Refused | TooLarge) -> Outcome:
    """
    Find the first record at fault among those that were refused together, accepting what lies before it.
    """
    first, end, alone = 0, count, True
    while not (alone and end - first == 1):
        middle = first + max(1, (end - first) // 2)
        try:
            await post(first, middle)
        except (Refused, TooLarge) as again:
            end, alone, error = middle, True, again
        except ConnectorError as other:
            return first, {}, other
        else:
            # records that were too large only together are not looked for: the rest goes with the next batch
            if middle == end or isinstance(error, TooLarge):
                return middle, {}, None
            first, alone = middle, False
    return end, {first: _reason(error)}, None


def _reason(error: Refused | TooLarge) -> str:
    return next(iter(error.reasons.values()), error.message) if isinstance(error, Refused) else error.message
