"""What is no line, no line of this key, or a line that somebody changed: refused, with the reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.database import Database
from support.refusal import BAD_PARAMETER, Refusal, refusal
from support.sealing import history
from support.servers import Servers
from support.witnessing import AT_ONCE, Sink, fields, set_command

CHECK = "SELECT contained FROM seal.check_witness(%s)"
VERIFY = "SELECT verdict FROM seal.verify_history(witness => %s)"
NO_LINE = "this is not the line of a witness"
WHOLE = "Give the whole line as it was written, from the word pgseal-anchor to the end of its mac."
OTHER_KEY = Refusal(
    BAD_PARAMETER,
    "the line of the witness was not written with this server's key",
    "It was changed, or comes from a server with another key.",
    WHOLE,
)
START = '"pgseal-anchor 1", with which a witness line begins, is not in it'
TIME = "a time as in 2026-11-21T22:00:00.123456Z"
MAC = "64 hexadecimal digits in lower case"
NUMBER = "a decimal number below 18446744073709551616"


def value(name: str, found: str, wanted: str) -> str:
    return f'"{name}={found}" in the witness line is not {wanted}'


def other(name: str, to: Callable[[str], str]) -> Callable[[str], str]:
    """Changes one field of a line; a mac is found from behind."""
    return lambda line: f" {name}={to(fields(line)[name])}".join(line.rsplit(f" {name}={fields(line)[name]}", 1))


def flipped(digits: str) -> str:
    return digits[:-1] + ("1" if digits[-1] == "0" else "0")


CHANGED = {
    "database": other("database", lambda name: name + "x"),
    "database, escaped": other("database", lambda name: name + "%20"),
    "chain": other("chain", lambda chain: chain + "/1"),
    "tag": other("chain", flipped),
    "number": other("number", lambda number: str(int(number) + 1)),
    "huge number": other("number", lambda number: "18446744073709551615"),
    "number 0": other("number", lambda number: "0"),
    "at": other("at", lambda at: at[:-2] + str((int(at[-2]) + 1) % 10) + "Z"),
    "full": other("full", lambda full: "no" if full == "yes" else "yes"),
    "heads": other("heads", lambda heads: str(int(heads) + 1)),
    "anchor": other("anchor", flipped),
    "mac": other("mac", flipped),
    "zero mac": other("mac", lambda mac: "0" * 64),
}

UNREADABLE: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda line: "", START),
    "blank": (lambda line: " \n\t ", START),
    "garbage": (lambda line: "garbage" * 3000, START),
    "letters": (lambda line: "ö𝄞\u0001" * 9, START),
    "beginning cut off": (lambda line: line[3:], START),
    "word only": (lambda line: "pgseal-anchor", START),
    "in capitals": (lambda line: line.upper(), START),
    "another word": (lambda line: "x" + line, START),
    "version": (
        lambda line: line.replace("anchor 1 ", "anchor 2 ", 1),
        'the witness line has version "2", and only version 1 is known',
    ),
    "nothing after version": (
        lambda line: "pgseal-anchor 1",
        '"database=" is expected in the witness line where nothing stands',
    ),
    "no chain": (
        lambda line: line.replace(f" chain={fields(line)['chain']}", ""),
        '"chain=" is expected in the witness line where "number=',
    ),
    "two blanks": (
        lambda line: line.replace(" key=", "  key="),
        '"key=" is expected in the witness line where "key=',
    ),
    "mac cut off": (
        lambda line: line[: line.rindex(" mac=")],
        '"mac=" is expected in the witness line where nothing stands',
    ),
    "mac cut short": (lambda line: line[:-1], f"in the witness line is not {MAC}"),
    "mac too long": (lambda line: line + "0", f"in the witness line is not {MAC}"),
    "mac in capitals": (other("mac", lambda mac: mac[:-1] + "A"), f"in the witness line is not {MAC}"),
    "anchor cut short": (other("anchor", lambda mac: "ab"), value("anchor", "ab", MAC)),
    "line broken": (lambda line: line.replace(" key=", "\nkey="), '"key=" is expected in the witness line where "key='),
    "number": (other("number", lambda number: "01"), value("number", "01", NUMBER)),
    "negative": (other("number", lambda number: "-1"), value("number", "-1", NUMBER)),
    "too large": (other("heads", lambda heads: "18446744073709551616"), value("heads", "18446744073709551616", NUMBER)),
    "full": (other("full", lambda full: "true"), value("full", "true", "yes or no")),
    "time": (other("at", lambda at: at.replace("T", "_")), f"in the witness line is not {TIME}"),
    "other zone": (other("at", lambda at: at[:-1] + "+00:00"), f"in the witness line is not {TIME}"),
    "no day": (other("at", lambda at: "2026-02-30" + at[10:]), f"in the witness line is not {TIME}"),
    "escape": (other("database", lambda name: name + "%2f"), "in the witness line is not text with every character"),
    "needless escape": (other("database", lambda name: "%64" + name[1:]), "is not text with every character"),
    "more behind": (lambda line: line + " x", '"x" stands after the end of the witness line'),
    "two lines": (lambda line: f"{line}\n{line}\n", "stands after the end of the witness line"),
}


@pytest.fixture
def line(witness: Sink, sealed: Database) -> str:
    sealed.run("INSERT INTO h VALUES (9, 'x')")
    return witness.wait_for(sealed)


def test_every_changed_field_is_refused(sealed: Database, line: str) -> None:
    assert sealed.value(CHECK, [line]) is True
    for what, change in CHANGED.items():
        changed = change(line)
        assert changed != line, what
        for question in (CHECK, VERIFY):
            assert (what, refusal(sealed, question, [changed])) == (what, OTHER_KEY)


def test_another_key_id_cannot_be_judged(sealed: Database, line: str) -> None:
    expected = Refusal(
        BAD_PARAMETER, "the line of the witness cannot be judged", "This server does not have key 2.", WHOLE
    )
    for question in (CHECK, VERIFY):
        assert refusal(sealed, question, [line.replace(" key=1 ", " key=2 ")]) == expected


def test_what_is_no_line_is_refused_with_the_reason(sealed: Database, line: str) -> None:
    for what, (change, reason) in UNREADABLE.items():
        for question in (CHECK, VERIFY):
            said = refusal(sealed, question, [change(line)])
            assert (what, said.state, said.message, said.hint) == (what, BAD_PARAMETER, NO_LINE, WHOLE)
            assert said.detail.startswith("Reason: ") and said.detail.endswith("."), said.detail
            assert reason in said.detail, (what, said.detail)
            assert len(said.detail) < 200, (what, said.detail)


def test_what_syslog_and_mail_put_around_it_does_not_matter(sealed: Database, line: str) -> None:
    before = ["<13>Nov 21 22:00:00 db1 pgseal-anchor: ", "<13>1 2026-11-21T22:00:00Z db1 pgseal-anchor - - - ", "> "]
    for around in [line, f"\n  {line} \r\n", f"\t{line}\n\n", *(prefix + line for prefix in before)]:
        assert sealed.value(CHECK, [around]) is True, around
        assert sealed.value(VERIFY, [around]) == "intact", around


def test_null(sealed: Database, line: str) -> None:
    """No line is no question, and no yes."""
    assert sealed.rows(CHECK, [None]) == []
    assert sealed.value(VERIFY, [None]) == "intact"


def test_a_line_of_another_server_with_another_key(own_cluster: Servers, sealed: Database) -> None:
    server = own_cluster(AT_ONCE)
    foreign = server.createdb(name=sealed.name)
    foreign.run("CREATE EXTENSION pgseal")
    sink = Sink(server)
    set_command(server, sink.command)
    history(foreign)
    foreign.run("INSERT INTO h VALUES (1, 'x')")
    line = sink.wait_for(foreign)
    assert foreign.value(CHECK, [line]) is True
    for question in (CHECK, VERIFY):
        assert refusal(sealed, question, [line]) == OTHER_KEY
