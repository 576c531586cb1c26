"""Storage that stalls or fails for a while: a limit of time for a read, and further attempts, with growing pauses."""

import errno
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from datamodules.storage.sample_errors import SampleError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

LONGEST_PAUSE = 60.0
OF_A_FILE = (errno.EIO, errno.EREMOTEIO)
"""Errors that may be of one file or of one place on a disk."""
OF_THE_STORAGE = (
    errno.EAGAIN,
    errno.EBUSY,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
    errno.ENOTCONN,
    errno.ESHUTDOWN,
    errno.ESTALE,
    errno.ETIMEDOUT,
)
"""Errors of a file system over the network that is away."""


class RefusedError(OSError):
    """A remote that answered and does not give what was asked for: asking again would not help."""


@dataclass(frozen=True)
class Retries:
    """How often something is tried, and the pauses between.

    The n-th pause is ``pause`` * 2**(n - 1) seconds, at most a minute, times a random number in [0.5, 1.5), so that
    many processes do not come back at once. That number is not of the seeded generators.

    Attributes:
        attempts: How often at most.
        pause: Seconds before the second attempt.
    """

    attempts: int = 4
    pause: float = 1.0

    def __call__(self, action: Callable[[], Result], what: str, passing: Callable[[Exception], bool]) -> Result:
        """Call a function until it succeeds.

        Args:
            action: The function.
            what: What it reads, for the log: the first failure is a warning, and so is a success after it.
            passing: Tells of an error whether it may pass.

        Returns:
            What the function returned.

        Raises:
            Exception: The last error, or the first that does not pass.
        """
        attempt = 1
        while True:
            try:
                result = action()
            except (OSError, SampleError) as error:
                if attempt >= self.attempts or not passing(error):
                    raise
                if attempt == 1:
                    logger.warning("%s: trying again, %d times at most: %s", what, self.attempts - 1, error)
            else:
                if attempt > 1:
                    logger.warning("%s: read at attempt %d", what, attempt)
                return result
            time.sleep(self.seconds(attempt))
            attempt += 1

    @property
    def longest(self) -> float:
        """Seconds of the longest pause there may be."""
        return 1.5 * min(LONGEST_PAUSE, self.pause * 2.0 ** (self.attempts - 2)) if self.attempts > 1 else 0.0

    def seconds(self, attempt: int) -> float:
        """Draw the pause after an attempt, counted from 1."""
        return min(LONGEST_PAUSE, self.pause * 2.0 ** (attempt - 1)) * random.SystemRandom().uniform(0.5, 1.5)


def remote_may_pass(error: Exception) -> bool:
    """Whether asking a remote again may help."""
    return isinstance(error, OSError) and not isinstance(error, (RefusedError, FileNotFoundError, PermissionError))


def local_may_pass(error: Exception) -> bool:
    """Whether reading a local file again may help; of an unreadable sample, its cause tells."""
    cause = error.__cause__ if isinstance(error, SampleError) else error
    return isinstance(cause, TimeoutError) or getattr(cause, "errno", None) in OF_A_FILE + OF_THE_STORAGE


def is_of_the_storage(error: Exception) -> bool:
    """Whether an error is one of the whole storage, and not of one sample."""
    cause = error.__cause__ if isinstance(error, SampleError) else error
    return isinstance(cause, TimeoutError) or getattr(cause, "errno", None) in OF_THE_STORAGE


def within(seconds: float, action: Callable[[], Result], what: str) -> Result:
    """Call a function that may never return, such as a read from a file system over the network that is away.

    Args:
        seconds: How long it may take.
        action: The function. It goes on in a thread of its own if it takes longer: nothing can end it.
        what: What it reads, for the message.

    Returns:
        What it returned.

    Raises:
        TimeoutError: If it takes longer.
        Exception: What it raised.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"read {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"{what}: nothing was read for {seconds:g} s; the storage stalls")
    return results[0]
