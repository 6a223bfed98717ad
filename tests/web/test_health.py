"""Whether all is well, over HTTP."""

from tests.cli.kit import ago
from tests.web.kit import served

from duly import Client, Message


async def test_that_nobody_delivers_is_told_and_is_no_reason_to_restart_anything(on_each: Client):
    async with served(on_each) as http:
        before = (await http.get("/health")).json()
        assert not any("delivers" in each for each in before["reasons"])
        await on_each.schedule(Message("mail.send", scheduled_at=ago(60)))
        answer = await http.get("/health")
        told = answer.json()
        assert (answer.status_code, told["status"]) == (200, "degraded")
        assert any(each.startswith("nobody delivers: no sch") for each in told["reasons"])
        await http.put("/controls/mail.send", json={"paused": True})
        after = (await http.get("/health")).json()
        assert not any("nobody delivers" in each for each in after["reasons"])
