"""The pages that ``duly web`` serves."""

import subprocess
import sys
from pathlib import Path

import httpx
from tests.web.test_command import answers, free_port, said_to


async def test_it_says_where_one_is(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(  # noqa: ASYNC220  # it begins at once
        [sys.executable, "-m", "duly_web", "--store", f"sqlite:///{tmp_path}/orders.db",
         "--open-to-all", "--port", str(port), "--environment", "staging", "--color", "amber",
         "--tz", "Europe/Berlin"],
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/"
        await answers(process, url)
        async with httpx.AsyncClient() as http:
            text = (await http.get(url)).text
        assert "<title>Overview · staging · duly</title>" in text
        assert 'class="env-amber"' in text
        assert "Europe/Berlin, UTC+0" in text
        assert f"sqlite:///{tmp_path}/orders.db" in text
    finally:
        process.terminate()
        process.wait()


def test_a_time_zone_that_is_none_is_refused() -> None:
    done = said_to("--store", "memory://", "--open-to-all", "--tz", "Berlin")
    assert done.exit_code == 2
    assert "there is no time zone 'Berlin'" in done.stderr
