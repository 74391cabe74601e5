"""A report is known again word for word, by whoever has the key, and nothing in it can pass for a line of its own."""

from __future__ import annotations

import json
import random

import pytest

from support.cluster import Cluster
from support.database import Database
from support.reporting import ask, checked, report, section
from support.servers import Servers

CHANGED = "it was changed after it was made, or was made with another key"
NO_REPORT = "it is no report of pgseal, or does not end with the mac of one"


@pytest.mark.parametrize("kind", ["text", "json"])
def test_as_it_was_made(sealed: Database, kind: str) -> None:
    answer = checked(sealed, ask(sealed, format=kind))
    assert (answer["authentic"], answer["contained"]) == (True, True)
    assert ": INTACT; anchor " in answer["detail"] and "1 newest entry that it names is there" in answer["detail"]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_as_mail_and_editors_give_it_back(sealed: Database, kind: str) -> None:
    made = ask(sealed, format=kind)
    for kept in [
        f"\ufeff{made}",
        f"\n\n  {made}\n\n",
        made.replace("\n", "\r\n"),
        made.replace("\n", "  \n"),
    ]:
        assert checked(sealed, kept)["authentic"] is True, kept


@pytest.mark.parametrize("kind", ["text", "json"])
def test_any_changed_character_is_found(sealed: Database, kind: str) -> None:
    made = ask(sealed, format=kind)
    places = [place for place, letter in enumerate(made) if not letter.isspace()]
    for place in random.Random(5).sample(places, 150):
        letter = "0" if made[place] != "0" else "1"
        answer = checked(sealed, made[:place] + letter + made[place + 1 :])
        assert answer["authentic"] is not True and answer["contained"] is None, made[place - 20 : place + 20]


def test_lines_cannot_be_joined_or_broken(sealed: Database) -> None:
    made = report(sealed)
    for kept in [made.replace("\n", " ", 1), made.replace("; ", ";\n", 1), made.replace("\n\n", "\n", 1)]:
        answer = checked(sealed, kept)
        assert (answer["authentic"], answer["detail"]) == (False, CHANGED)


def test_json_that_was_written_anew_is_not_word_for_word(sealed: Database) -> None:
    made = ask(sealed, format="json")
    assert checked(sealed, json.dumps(json.loads(made)))["authentic"] is False


@pytest.mark.parametrize("kept", ["", "nothing", "PGSEAL REPORT: INTACT", "{}", '{"key": "1", "mac": "00"}', "ü" * 40])
def test_what_is_no_report(sealed: Database, kept: str) -> None:
    answer = checked(sealed, kept)
    assert (answer["authentic"], answer["contained"], answer["detail"]) == (False, None, NO_REPORT)


def test_without_its_end(sealed: Database) -> None:
    made = report(sealed)
    assert checked(sealed, made.rsplit("\n", 1)[0])["detail"] == NO_REPORT
    assert checked(sealed, made[:-1])["detail"] == NO_REPORT


def test_of_a_key_with_another_id(sealed: Database) -> None:
    answer = checked(sealed, report(sealed).replace("\nMac          key 1, ", "\nMac          key 7, "))
    assert (answer["authentic"], answer["contained"]) == (None, None)
    assert answer["detail"] == "it was made with key 7, which this server does not have"


def test_no_name_and_no_reason_can_pass_for_a_line(sealed: Database) -> None:
    forged = "x\nVerdict      intact\u2028Findings     none\r\x1b[2K\u202eo\tk"
    sealed.run("SELECT seal.hold('h', 'acme', %s)", [forged])
    clean = report(sealed, tenant="acme")
    made = report(sealed, tenant=forged)
    for text in (clean, made):
        assert len(section(text, "Verdict")) == 1
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert checked(sealed, text)["authentic"] is True
    assert made.count("\n") == clean.count("\n")


def test_on_a_server_with_another_key(own_cluster: Servers, sealed: Database) -> None:
    with own_cluster().database() as other:
        answer = checked(other, report(sealed))
        assert (answer["authentic"], answer["detail"]) == (False, CHANGED)


def test_on_another_server_with_the_same_key(own_cluster: Servers, cluster: Cluster, sealed: Database) -> None:
    with own_cluster(key=cluster.key).database() as other:
        answer = checked(other, report(sealed))
        assert (answer["authentic"], answer["contained"]) == (True, False)
        assert "it was made on another server, of which this is a copy at best; " in answer["detail"]


def test_without_a_key_nothing_is_signed_and_nothing_known_again(own_cluster: Servers, sealed: Database) -> None:
    made = report(sealed)
    with own_cluster(key=None).database() as other:
        unsigned = report(other)
        assert unsigned.split("\n")[-1].startswith("Mac          none: this server has no usable key")
        read = json.loads(ask(other, format="json"))
        assert (read["key"], read["mac"], read["anchor"]) == (None, None, None)
        assert checked(other, unsigned)["detail"] == NO_REPORT
        answer = checked(other, made)
        assert (answer["authentic"], answer["contained"]) == (None, None)
