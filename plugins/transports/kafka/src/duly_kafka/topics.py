"""Event names as topics (``?topic=events.{event_name}``), and topics created if asked for."""

import re
from functools import lru_cache
from typing import Final

import attrs
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from duly.errors import InvalidArgument, Rejected
from duly.template import Template
from duly_kafka.server import Cluster

__all__ = ["NewTopics", "Topics"]

_LONGEST: Final = 249  # characters
_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]+")
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9._-]+")


@lru_cache(maxsize=4096)
def _encoded(event_name: str) -> str:
    """The name with an underscore and two hexadecimal digits for each byte a topic cannot have."""
    return _ILLEGAL.sub(
        lambda found: "".join(f"_{byte:02X}" for byte in found[0].encode()), event_name
    )


class Topics:
    """The topic of each event name.

    Raises:
        InvalidArgument: a template from which no topic can be made.
    """

    def __init__(self, text: str) -> None:
        self._template = Template(text, option="topic", encode=_encoded)
        example = self._template.fill("x")
        if not _LEGAL.fullmatch(example):
            raise InvalidArgument(
                f"topic: {text!r} has other characters than a topic may have: ASCII letters, "
                "digits, full stops, underscores and hyphens"
            )
        if self._never(example):
            raise InvalidArgument(f"topic: {text!r} cannot be the name of a topic, or is too long")

    def __call__(self, event_name: str) -> str:
        """The topic of messages of that name.

        Raises:
            Rejected: it would be longer than a topic's name may be, or ``.`` or ``..``.
        """
        topic = self._template.fill(event_name)
        if self._never(topic):
            raise Rejected(f"{topic!r} cannot be a topic: 1 to {_LONGEST} characters, not . or ..")
        return topic

    def __repr__(self) -> str:
        return repr(self._template)

    @staticmethod
    def _never(topic: str) -> bool:
        return len(topic) > _LONGEST or topic in (".", "..")


@attrs.frozen
class NewTopics:
    """Creates missing topics, each with so many partitions and replicas.

    Raises:
        InvalidArgument: fewer than one of either.
    """

    partitions: int
    replication: int

    def __attrs_post_init__(self) -> None:
        if min(self.partitions, self.replication) < 1:
            raise InvalidArgument("partitions and replication have to be above 0")

    async def create(self, topic: str, cluster: Cluster, patience: float) -> None:
        """Create a topic, unless another was faster; ``patience`` in seconds for each request.

        Raises:
            KafkaError: it cannot be created.
        """
        defaults = {"request_timeout_ms": max(1, round(patience * 1000))}
        admin = AIOKafkaAdminClient(**{**defaults, **cluster.arguments()})
        try:
            await admin.start()
            answer = await admin.create_topics([NewTopic(topic, self.partitions, self.replication)])
        except AttributeError as error:  # aiokafka assumes that there is a controller
            raise KafkaError("the cluster has no controller") from error
        finally:
            await admin.close()
        for _, code, *_ in answer.topic_errors:
            if (failure := for_code(code)) not in (NoError, TopicAlreadyExistsError):
                raise failure
