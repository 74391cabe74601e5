"""SQLAlchemy: a model that knows nothing of the seal columns, and tables as they are reflected, which do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from sqlalchemy import Engine, FetchedValue, MetaData, Table, create_engine, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, make_transient, mapped_column

from support.application import OWN_COLUMNS, assert_recorded
from support.database import Database
from support.sealing import SEAL_COLUMNS


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {dict[str, Any]: JSONB}


class Event(Base):
    __tablename__ = "h"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    payload: Mapped[dict[str, Any]]


@pytest.fixture
def engine(app: Database) -> Iterator[Engine]:
    engine = create_engine(
        f"postgresql+psycopg://postgres@/{app.name}?host={app.cluster.sockets}&port={app.cluster.port}"
    )
    yield engine
    engine.dispose()


@pytest.fixture
def reflected(engine: Engine) -> Table:
    return Table("h", MetaData(), autoload_with=engine)


def said(error: DBAPIError) -> tuple[str, str, str]:
    """SQLSTATE, message and HINT."""
    found = error.orig.diag  # type: ignore[union-attr]
    return found.sqlstate, found.message_primary, found.message_hint


def test_a_model_without_seal_columns(app: Database, engine: Engine) -> None:
    with Session(engine) as session:
        session.add_all(Event(tenant="acme", payload={"number": number}) for number in range(1500))
        session.flush()
        session.add(Event(tenant="umbrella", payload={}))
        session.commit()
        assert session.scalar(select(func.count()).select_from(Event)) == 1501
        newest = session.scalars(select(Event).order_by(Event.id.desc())).first()
        assert newest is not None and (newest.id, newest.tenant) == (1501, "umbrella")
    # The pages of insertmanyvalues are not so many statements as rows; their ids and their order in the chain agree.
    assert app.value("SELECT bool_and(seal_seq = id) FROM h")
    assert_recorded(app, 1501)


def test_a_savepoint_in_a_session(app: Database, engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Event(tenant="acme", payload={}))
        session.flush()
        with pytest.raises(DBAPIError), session.begin_nested():
            session.add_all([Event(tenant="acme", payload={}), Event(tenant="nobody", payload={})])
            session.flush()
        session.add(Event(tenant="acme", payload={}))
        session.commit()
    assert_recorded(app, 2)


def test_changing_or_deleting_what_was_loaded_is_refused(app: Database, engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Event(tenant="acme", payload={}))
        session.commit()
        event = session.scalars(select(Event)).one()
        event.tenant = "umbrella"
        with pytest.raises(DBAPIError) as updated:
            session.commit()
        session.rollback()
        session.delete(event)
        with pytest.raises(DBAPIError) as deleted:
            session.commit()
        session.rollback()
    for caught, statement in ((updated, "UPDATE"), (deleted, "DELETE")):
        state, message, hint = said(caught.value)
        assert (state, message) == ("55000", f'{statement} is not allowed on history "public.h"')
        assert hint.startswith("Insert a new row that corrects the old one.")
    assert_recorded(app, 1)


def test_a_reflected_table_has_the_seal_columns_too(app: Database, engine: Engine, reflected: Table) -> None:
    assert reflected.columns.keys() == [*OWN_COLUMNS, *SEAL_COLUMNS]
    with engine.begin() as connection:
        connection.execute(insert(reflected), [{"tenant": "acme", "payload": {"n": n}} for n in range(20)])
        (returned,) = connection.execute(insert(reflected).values(tenant="umbrella").returning(reflected))
        assert (returned.id, returned.seal_seq, len(returned.seal_mac)) == (21, 21, 32)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM h ORDER BY id")).mappings().all()
        assert rows == connection.execute(select(reflected).order_by(reflected.c.id)).mappings().all()
        assert [row["seal_seq"] for row in rows] == list(range(1, 22))
    assert_recorded(app, 21)


def test_a_reflected_class(app: Database, engine: Engine) -> None:
    """The ORM sends NULL for what was not set; that is as good as leaving it out. Refresh to see the seal."""
    base = automap_base()
    base.prepare(engine)
    entry = base.classes.h
    with Session(engine, expire_on_commit=False) as session:
        new = entry(tenant="acme", payload={})
        session.add(new)
        session.commit()
        assert new.id == 1 and new.seal_seq is None
        session.refresh(new)
        assert new.seal_seq == 1 and len(new.seal_mac) == 32
    assert_recorded(app, 1)


def test_seal_columns_that_the_model_declares_as_fetched(app: Database, engine: Engine) -> None:
    class Sealed(DeclarativeBase):
        pass

    class Entry(Sealed):
        __tablename__ = "h"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant: Mapped[str]
        seal_seq: Mapped[int] = mapped_column(server_default=FetchedValue())

    with Session(engine, expire_on_commit=False) as session:
        entries = [Entry(tenant="acme") for _ in range(3)]
        session.add_all(entries)
        session.commit()
        assert sorted(entry.seal_seq for entry in entries) == [1, 2, 3]
    assert_recorded(app, 3)


def test_a_whole_row_that_is_inserted_again_is_refused(app: Database, engine: Engine, reflected: Table) -> None:
    with engine.begin() as connection:
        connection.execute(insert(reflected).values(tenant="acme"))
        whole = dict(connection.execute(select(reflected)).mappings().one()) | {"id": 2}
    base = automap_base()
    base.prepare(engine)
    refusals = []
    with pytest.raises(DBAPIError) as by_table, engine.begin() as connection:
        connection.execute(insert(reflected), [whole])
    refusals.append(by_table.value)
    with pytest.raises(DBAPIError) as by_query, engine.begin() as connection:
        connection.execute(insert(reflected).from_select(list(reflected.c), select(reflected)))
    refusals.append(by_query.value)
    with Session(engine) as session:
        loaded = session.scalars(select(base.classes.h)).one()
        session.expunge(loaded)
        make_transient(loaded)
        loaded.id = 2
        session.add(loaded)
        with pytest.raises(DBAPIError) as by_class:
            session.commit()
        refusals.append(by_class.value)
    for error in refusals:
        state, message, hint = said(error)
        assert (state, message) == ("428C9", 'column "seal_chain" of history "public.h" is filled by pgseal')
        assert hint.startswith("Leave the seal_ columns out of the column list")
    assert_recorded(app, 1)


def test_on_conflict_do_nothing(app: Database, engine: Engine, reflected: Table) -> None:
    with engine.begin() as connection:
        for _ in range(2):
            rows = [{"id": number, "tenant": "acme"} for number in (1, 2, 3)]
            connection.execute(pg_insert(reflected).on_conflict_do_nothing(), rows)
        connection.execute(pg_insert(reflected).on_conflict_do_nothing(), [{"id": 4, "tenant": "acme"}])
    assert_recorded(app, 4)
