"""Log lines go where the application's logging configuration sends them, and nowhere else."""

import logging
import subprocess
import sys
import textwrap

import pytest
import structlog

from duly._telemetry.logging import about, get_logger


def run(code: str) -> subprocess.CompletedProcess[str]:
    """A program of its own, since logging is configured once for all."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )


UNCONFIGURED = """
    from duly._telemetry.logging import get_logger
    get_logger().info("lease_renewed", batches=3)
    get_logger().warning("lease_lost", batches=3)
"""


def test_an_application_that_configures_nothing_hears_of_warnings_on_stderr_alone():
    done = run(UNCONFIGURED)
    assert done.stdout == ""
    assert done.stderr == "lease_lost batches=3\n"


@pytest.mark.parametrize(
    "configured",
    [
        "structlog.configure()",
        "structlog.configure(processors=[structlog.processors.JSONRenderer()])",
        "structlog.configure(logger_factory=structlog.PrintLoggerFactory(), cache_logger_on_first_use=True)",
    ],
)
def test_how_structlog_is_configured_does_not_matter(configured):
    done = run(f"    import structlog\n    {configured}\n" + UNCONFIGURED)
    assert (done.stdout, done.stderr) == ("", "lease_lost batches=3\n")


def test_the_configuration_of_the_standard_library_rules():
    done = run("""
        import logging, sys
        from duly._telemetry.logging import get_logger
        log = get_logger()
        logging.basicConfig(level="INFO", stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
        log.debug("nothing")
        log.info("lease_renewed", batches=3)
        logging.getLogger("duly").setLevel("ERROR")
        log.warning("lease_lost")
    """)
    assert done.stdout == "INFO duly lease_renewed batches=3\n"
    assert done.stderr == ""


class TestLine:
    @pytest.fixture
    def line(self, caplog):
        caplog.set_level(logging.DEBUG, "duly")

        def line_(event: str, **facts: object) -> str:
            caplog.clear()
            get_logger().info(event, **facts)
            (record,) = caplog.records
            return record.getMessage()

        return line_

    def test_facts_stand_in_the_order_given(self, line):
        assert (
            line("claimed", messages=3, late=0.5, none=None)
            == "claimed messages=3 late=0.5 none=None"
        )

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("a b", "'a b'"),
            ("", "''"),
            ("a=b", "'a=b'"),
            ("a\nb", r"'a\nb'"),
            ("100%s", "100%s"),
            ("ä", "ä"),
        ],
    )
    def test_what_would_be_misread_is_quoted(self, line, value, shown):
        assert line("claimed", fact=value) == f"claimed fact={shown}"

    def test_what_is_known_of_all_stands_behind_and_gives_way(self, line):
        with about(owner="us", store="redis://u:geheim@h"):
            assert line("lost", late=3) == "lost late=3 owner=us store=redis://u:***@h"
            assert line("recovered", owner="them") == "recovered owner=them store=redis://u:***@h"
        assert line("lost", late=3) == "lost late=3"

    def test_secrets_are_masked_wherever_they_stand(self, line):
        url = "redis://u:geheim@h"
        assert (
            line("lost", store=url, error=OSError(url))
            == "lost store=redis://u:***@h error=redis://u:***@h"
        )

    def test_facts_are_there_for_machines_too(self, line, caplog):
        line("claimed", messages=3, message="any name will do", store="redis://u:geheim@h")
        assert caplog.records[0].duly == {
            "event": "claimed", "messages": 3, "message": "any name will do", "store": "redis://u:***@h",
        }  # fmt: skip

    @pytest.mark.parametrize("by", ["exception", "exc_info"])
    def test_a_traceback_is_masked(self, caplog, by):
        try:
            raise OSError("cannot reach redis://u:geheim@h")
        except OSError as error:
            if by == "exception":
                get_logger().exception("lost")
            else:
                get_logger().error("lost", exc_info=error)
        (record,) = caplog.records
        assert record.exc_info in (None, False)
        assert "Traceback" in record.getMessage()
        assert "OSError: cannot reach redis://u:***@h" in record.getMessage()
        assert "geheim" not in caplog.text

    def test_what_is_not_wanted_is_not_made(self, caplog):
        class Costly:
            def __str__(self) -> str:
                raise AssertionError

        caplog.set_level("WARNING", logger="duly")
        get_logger().info("claimed", fact=Costly())
        assert not caplog.records


class Mute(BaseException):
    """Can neither be shown nor looked into."""

    def __str__(self) -> str:
        raise Mute

    def __getattribute__(self, name: str) -> object:
        if name == "__notes__":  # what a traceback looks at
            raise Mute
        return super().__getattribute__(name)


class TestWhatRaises:
    """A line may be lost; who wrote it is not disturbed."""

    @pytest.fixture(params=["handler", "filter", "level"])
    def broken(self, request, monkeypatch):
        logger = logging.getLogger("duly")

        def break_(error: BaseException) -> None:
            def fail(_record: object) -> None:
                raise error

            handler = logging.Handler()
            monkeypatch.setattr(handler, "emit", fail)
            if request.param == "handler":
                monkeypatch.setattr(logger, "handlers", [handler])
            elif request.param == "filter":
                monkeypatch.setattr(logger, "filters", [fail])
            else:
                monkeypatch.setattr(logger, "isEnabledFor", fail)

        return break_

    @pytest.mark.parametrize("error", [OSError("log server is gone"), SystemExit(1), Mute()])
    def test_a_line_is_lost_and_that_is_told_on_stderr(self, broken, error, capsys, monkeypatch):
        broken(error)
        get_logger().warning("lease_lost")
        try:
            raise ValueError  # log.exception() wants one that is being handled
        except ValueError:
            get_logger().exception("duty_failed")
        told = capsys.readouterr().err
        assert told.count("lease_lost was not logged") == 1
        assert told.count("duty_failed was not logged") == 1
        monkeypatch.setattr(logging, "raiseExceptions", False)  # as applications switch it off
        get_logger().warning("lease_lost")
        assert capsys.readouterr().err == ""

    def test_no_stderr_is_no_trouble(self, broken, monkeypatch):
        broken(OSError())
        monkeypatch.setattr(sys, "stderr", None)
        get_logger().warning("lease_lost")

    def test_secrets_are_masked_there_too(self, broken, capsys):
        broken(OSError("cannot reach redis://u:geheim@h"))
        get_logger().warning("lease_lost")
        assert "redis://u:***@h" in capsys.readouterr().err

    def test_ctrl_c_is_not_kept_from_anybody(self, broken):
        broken(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            get_logger().warning("lease_lost")

    def test_what_cannot_be_shown_is_logged_by_its_kind(self, caplog):
        get_logger().error("duty_failed", error=Mute(), exc_info=Mute())
        (record,) = caplog.records
        assert record.getMessage().startswith("duty_failed error=<Mute>\n")
        assert "Mute" in record.getMessage().partition("\n")[2]


def test_structlog_is_left_as_it_was():
    assert not structlog.is_configured()
