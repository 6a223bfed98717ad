"""A receiver of webhooks as a program: ``python hook.py PORT FILE``.

It notes each request in the file before it answers, so that what it accepted outlives its death,
and takes its time to answer, so that there is something in flight when it dies.
"""

import asyncio
import json
import os
import sys
from urllib.parse import unquote

from aiohttp import web


def main() -> None:
    port, path = int(sys.argv[1]), sys.argv[2]
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    async def receive(request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        told = {name: unquote(value) for name, value in request.headers.items()}
        facts = [told["duly-message-id"], told["duly-delivery-id"], told["duly-attempt"], body]
        os.write(file, json.dumps(facts).encode() + b"\n")
        await asyncio.sleep(0.01)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", receive)
    web.run_app(app, host="127.0.0.1", port=port, print=None, reuse_address=True)


if __name__ == "__main__":
    main()
