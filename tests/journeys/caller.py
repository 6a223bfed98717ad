"""Schedules for ever: ``python caller.py FILE`` tells each id once it is told that it is stored."""

import asyncio
import sys

import duly


async def main(file: str) -> None:
    async with duly.Client(f"sqlite:///{file}") as client:

        async def go_on() -> None:
            while True:
                message = duly.Message("quick", scheduled_at=duly.after())
                sys.stdout.write(f"{await client.schedule(message)}\n")
                sys.stdout.flush()

        await asyncio.gather(*(go_on() for _ in range(5)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
