from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import duly
from duly.url import URL, boolean, mask, number, parse, scheme_of, seconds

NASTY = [
    "p@ss", "p:ss", "p/ss", "p?ss", "p#ss", "p ss", "p'ss", 'p"ss', "p<ss>", "p\nss", "p\tss", "p%ss", "%00",
    "p&ss", "p;ss", "p=ss", "p://ss", "//", "@", "://@", "p]ss[", "pässwörd", "℀", "日本", "***x", "\\", "p,ss@h2",
    "?password=", "&token=x", "x&token=y&z", "a=b?secret=c&d@e", "redis://u:inner@h",
]  # fmt: skip


def hidden(password: str, shown: str, around: str) -> bool:
    """Whether a password cannot be read in what is shown, but for what the rest spells anyhow."""
    return password not in shown or password in around or password in "***"


class TestMask:
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("redis://user:geheim@host:6379/0", "redis://user:***@host:6379/0"),
            ("redis://:geheim@host", "redis://:***@host"),
            ("nats://token@host", "nats://***@host"),
            ("https://token:@host", "https://***@host"),
            ("redis+sentinel://u:p@h1,h2:26379/mymaster/0", "redis+sentinel://u:***@h1,h2:26379/mymaster/0"),
            ("nats://u:geheim@h1,nats://u:geheim@h2", "nats://u:***@h2"),
            ("POSTGRESQL://U:P@H/D", "POSTGRESQL://U:***@H/D"),
            ("mqtt://h?password=geheim&tls=true", "mqtt://h?password=***&tls=true"),
            ("mqtt://u:a@h?sasl_password=b&api_key=c#d", "mqtt://u:***@h?sasl_password=***&api_key=***"),
            ("//u:geheim@host", "//u:***@host"),
            ("no URL at all, bob@example.com", "no URL at all, bob@example.com"),
            ("sqlite:///orders.db", "sqlite:///orders.db"),
            ("https://host/path?page=2", "https://host/path?page=2"),
            ("cannot reach redis://u:a@h1, redis://u:b@h2!", "cannot reach redis://u:***@h1, redis://u:***@h2!"),
            ("host=h password=geheim dbname=d", "host=h password=*** dbname=d"),
            ("connect(host='h', password='ge heim')", "connect(host='h', password=***)"),
            ('{"password": "geheim", "host": "h"}', '{"password": ***, "host": "h"}'),
            ("the password: at least 8 characters", "the password: at least 8 characters"),
            ("", ""),
        ],
    )  # fmt: skip
    def test_what_it_makes_of_a_text(self, text, masked):
        assert mask(text) == masked

    @pytest.mark.parametrize("password", NASTY)
    @pytest.mark.parametrize("rest", ["host", "h1,h2/0?tls=true", "host/db?password=x", ""])
    def test_the_nastiest_password_stays_hidden(self, password, rest):
        assert hidden(password, mask(f"redis://user:{password}@{rest}"), f"redis://user:@{rest}")
        assert hidden(password, mask(f"redis://h?password={password}"), "redis://h?password=")

    @given(st.text(min_size=1), st.sampled_from(["h", "h/0?a=b", "h/0?token=t"]))
    @example(password="a?token=b", rest="h")
    def test_no_password_shows(self, password, rest):
        around = f"amqp://user:***@{rest}?password="
        assert hidden(password, mask(f"amqp://user:{password}@{rest}"), around)
        assert hidden(password, mask(f"amqp://{password}@{rest}"), around)

    @given(st.text(min_size=1) | st.sampled_from(NASTY))
    @example("x&token=y&z")
    @example("@\r")
    def test_no_part_of_a_password_shows(self, password):
        masked = mask(f"amqp://user:{password}@host")
        before, _, rest = masked.removeprefix("amqp://").removeprefix("user:").partition("***")
        assert before == ""
        assert "@host".endswith(rest)

    @given(st.text(min_size=1))
    def test_no_secret_option_shows(self, password):
        assume("&" not in password)
        around = "amqp://user@host/0?password=***"
        assert hidden(password, mask(f"amqp://user@host/0?password={password}"), around)

    @given(st.text(min_size=1), st.text(), st.text())
    def test_no_encoded_password_shows_in_a_sentence(self, password, before, after):
        assume("@" not in after)
        encoded = quote(password, safe="")
        masked = mask(f"{before} redis://user:{encoded}@host {after}")
        assert hidden(encoded, masked, f"{before} redis://user:***@host {after}")

    @given(st.text())
    def test_what_holds_no_secret_is_left_alone(self, text):
        assume("@" not in text and "=" not in text and ":" not in text)
        assert mask(text) == text

    @given(st.text())
    def test_masking_again_changes_nothing_of_note(self, text):
        assert len(mask(mask(text))) <= len(mask(text)) + 3

    @pytest.mark.parametrize(
        "text",
        ["password" * 20_000, "a_" * 50_000, "a." * 50_000, "token=" * 10_000, "x://" * 250_000,
         "x://@" * 100_000, "x:// " * 100_000, "://" * 100_000, "token='\" " * 50_000],
    )  # fmt: skip
    def test_a_long_text_takes_no_time_to_speak_of(self, text):
        mask(text)  # quadratic, it would take minutes


class TestScheme:
    @pytest.mark.parametrize(
        ("text", "scheme"),
        [
            ("memory://", "memory"),
            ("SQLite:///x.db", "sqlite"),
            ("redis+sentinel://h", "redis+sentinel"),
            ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg"),
            ("local:", "local"),
        ],
    )
    def test_it_is_what_stands_before_the_colon(self, text, scheme):
        assert scheme_of(text) == scheme

    @pytest.mark.parametrize(
        "text", ["", "orders.db", "/orders.db", "://", "1x://", " redis://h", "re dis://h"]
    )
    def test_a_text_without_one_is_refused(self, text):
        with pytest.raises(duly.InvalidArgument, match="is not a URL.*memory://"):
            scheme_of(text)

    @pytest.mark.parametrize("text", [None, 5, b"redis://h"])
    def test_what_is_no_text_is_refused(self, text):
        with pytest.raises(duly.InvalidArgument, match="a URL is text"):
            scheme_of(text)

    @given(
        st.text(min_size=1), st.sampled_from(["//u:{}@h", "1x://u:{}@h", "{}@h", " redis://u:{}@h"])
    )
    def test_its_error_shows_no_password(self, password, form):
        try:
            scheme_of(form.format(password))
        except duly.InvalidArgument as error:
            around = (
                f"{form} '***' this text is not a URL: it starts with no scheme such as memory://"
            )
            assert hidden(password, str(error), around)  # noqa: PT017  # a URL may also be one


class TestParse:
    def test_a_url_is_taken_apart(self):
        url = parse("Redis+Sentinel://us%40er:p%3Aw@h1:26379,[::1]:5,h3/my%20master/0?a=%26&b=")
        assert url.scheme == "redis+sentinel"
        assert url.username == "us@er"
        assert url.password == "p:w"
        assert url.hosts == (("h1", 26379), ("::1", 5), ("h3", None))
        assert url.path == "/my master/0"
        assert url.options == {"a": "&", "b": ""}

    @pytest.mark.parametrize(
        ("text", "hosts", "path"),
        [
            ("memory://", (), ""),
            ("sqlite:///orders.db", (), "/orders.db"),
            ("sqlite:////var/orders.db", (), "//var/orders.db"),
            ("nats://[::1]", (("::1", None),), ""),
            ("nats://h,", (("h", None),), ""),
        ],
    )
    def test_what_is_missing_is_empty(self, text, hosts, path):
        url = parse(text)
        assert (url.hosts, url.path, url.username, url.password, dict(url.options)) == (
            hosts,
            path,
            None,
            None,
            {},
        )

    @pytest.mark.parametrize("text", ["redis:h", "redis:/h/0", "redis:", "redis:u:geheim@h"])
    def test_the_slashes_are_not_left_out(self, text):
        with pytest.raises(
            duly.InvalidArgument, match="lacks slashes.*starts with redis://"
        ) as told:
            parse(text)
        assert "geheim" not in str(told.value)

    def test_a_fragment_is_refused(self):
        with pytest.raises(duly.InvalidArgument, match="%23"):
            parse("sqlite:///orders#2.db")

    @pytest.mark.parametrize(
        "text",
        ["redis://h:port", "redis://h:0", "redis://h:65536", "redis://h:-1", "redis://u:p/w@h", "redis://[::1",
         "redis://h,[::1", "redis://[::1]x", "redis://h[::1]", "redis://[]:1"]
    )  # fmt: skip
    def test_what_cannot_be_taken_apart_is_refused(self, text):
        with pytest.raises(duly.InvalidArgument, match="percent signs|in brackets"):
            parse(text)

    @pytest.mark.parametrize("text", ["redis://h?a=1&a=2", "redis://h?a&b=1"])
    def test_options_are_given_once_and_have_a_value(self, text):
        with pytest.raises(duly.InvalidArgument):
            parse(text)

    @pytest.mark.parametrize("password", NASTY)
    def test_neither_text_nor_repr_nor_an_error_shows_a_password(self, password):
        text = f"redis://user:{password}@host:6379/0?token={password}"
        around = "redis://user:***@host:6379/0?token=*** a port is a number; in a user name or password encode / ? # @ :"
        try:
            url = parse(text)
        except duly.InvalidArgument as error:
            assert hidden(password, str(error), around)  # noqa: PT017  # some of them can be parsed
            assert error.__suppress_context__ or not error.__context__  # noqa: PT017  # as above
        else:
            assert hidden(password, str(url), around)

    @pytest.mark.parametrize("password", NASTY)
    def test_an_encoded_password_comes_back_and_never_shows(self, password):
        url = parse(f"redis://user:{quote(password, safe='')}@host")
        assert url.password == password
        assert url.hosts == (("host", None),)
        around = f"redis://user:***@host {parse('redis://user@host')!r}"
        for shown in (str(url), repr(url), f"{url}"):
            assert hidden(password, shown, around)
            assert hidden(quote(password, safe=""), shown, around)


class TestOptions:
    def test_those_given_are_converted(self):
        url = parse("redis://h?shards=3&tls=true&key_prefix=shop:&nap=0.5")
        assert url.take_options(shards=number, tls=boolean, key_prefix=str, nap=seconds, other=number) == {
            "shards": 3, "tls": True, "key_prefix": "shop:", "nap": timedelta(seconds=0.5),
        }  # fmt: skip

    def test_bool_stands_for_boolean(self):
        assert parse("x://h?a=false&b=yes").take_options(a=bool, b=bool) == {"a": False, "b": True}

    def test_an_unknown_one_is_an_error_that_lists_the_known(self):
        with pytest.raises(
            duly.InvalidArgument, match="redis://u:\\*\\*\\*@h.*'shard'.*known: key_prefix, shards"
        ):
            parse("redis://u:geheim@h?shard=3").take_options(shards=number, key_prefix=str)
        with pytest.raises(duly.InvalidArgument, match="known: none"):
            parse("memory://?a=1").take_options()

    @pytest.mark.parametrize(
        ("convert", "value", "complaint"),
        [
            (number, "-1", "not a whole number"),
            (number, "1.5", "not a whole number"),
            (number, "", "not a whole number"),
            (number, "²", "not a whole number"),
            (number, "٣", "not a whole number"),
            (number, "9" * 5000, "option x"),
            (boolean, "maybe", "neither true nor false"),
            (boolean, "", "neither true nor false"),
            (seconds, "soon", "not a number of seconds"),
            (seconds, "nan", "not a number of seconds"),
            (seconds, "inf", "not a number of seconds"),
            (seconds, "1e300", "not a number of seconds"),
            (seconds, "-1", "negative"),
        ],
        ids=lambda each: repr(each)[:20],
    )
    def test_a_value_of_the_wrong_kind_is_an_error_that_names_the_option(
        self, convert, value, complaint
    ):
        with pytest.raises(duly.InvalidArgument, match=f"option x.*{complaint}|{complaint}"):
            URL(scheme="x", options={"x": value}, text="x://").take_options(x=convert)

    @pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on"])
    def test_true(self, text):
        assert boolean(text) is True

    @pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
    def test_false(self, text):
        assert boolean(text) is False
