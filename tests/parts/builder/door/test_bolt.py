"""BuildKit's own database, recorded from 0.32.2 after the first build of a node, read while somebody else may write it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from binderbox.parts.builder.door.bolt import PAGE, State, Unreadable, look
from binderbox.parts.builder.door.launching import built_as, chain_of

RECORDED = Path(__file__).parent / "recorded/metadata_v2.db.gz"
PAGE_BYTES = 4096
LAYERS = tuple(
    f"sha256:{one}"
    for one in (
        "f2925efcdee83185b35367a6e19dcc93e6b3d1cbb61e6a073977cf6fe2a3c521",
        "ab1fe30e39701b643236a7a415738ed945a2a4cfe02f7515cc9768805fd41c6a",
        "c1da5c54b3bacf04c8673df76adb3a7c58bde7480cc2fe5490dcf99a600f176b",
        "02833a32feb82480c5c80d4a7f28205059d529d09d1476bbd64a3f8c1880cdf4",
    )
)  # of an image of two that were pulled and two of steps
CHAIN = "sha256:6b72d1838948ffe75e6f25db6c6e8f9df0bd4e98b3a8764854f41117c4d8283c"
BELOW, SNAPSHOT = "u44txgbiu8l5095gcdpv520ut", "tedejwuwovq4dpvycosp24su2"
PULLED = LAYERS[0]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "metadata_v2.db"
    path.write_bytes(gzip.decompress(RECORDED.read_bytes()))
    return path


def keys(state: State) -> list[bytes]:
    return [key for key, _ in state.items((b"_index",))]


def test_what_buildkit_built_is_found_by_the_name_of_its_layers(database: Path) -> None:
    assert look(database, lambda state: built_as(state, LAYERS)) == SNAPSHOT
    assert chain_of(LAYERS) == CHAIN
    assert look(database, lambda state: built_as(state, LAYERS[:-1])) == BELOW
    assert look(database, lambda state: built_as(state, ("sha256:" + "0" * 64,))) == ""


def test_what_was_pulled_is_nobodys_build(database: Path) -> None:
    """Its name is what the one who made the image says of it."""
    assert any(PULLED.encode() in key for key in look(database, keys))
    assert look(database, lambda state: built_as(state, LAYERS[:1])) == ""


def test_keys_come_in_order_and_by_their_beginning_without_buckets(database: Path) -> None:
    found = look(database, keys)
    assert found == sorted(found)
    assert len(found) == 17
    chains = look(database, lambda state: [key for key, _ in state.items((b"_index",), b"chainid:")])
    assert chains == [key for key in found if key.startswith(b"chainid:")]
    record = look(database, lambda state: dict(state.items((b"_main", SNAPSHOT.encode()))))
    assert record[b"cache.snapshot"] == b'{"value":"%s"}' % SNAPSHOT.encode()
    assert look(database, lambda state: list(state.items((b"_main",)))) == []
    assert look(database, lambda state: list(state.items((b"_main", b"none")))) == []


def newest_meta(raw: bytes) -> int:
    """Where the meta page of the newest transaction begins."""
    return max((0, PAGE_BYTES), key=lambda at: struct.unpack_from("<Q", raw, at + PAGE.size + 48)[0])


def test_the_meta_page_that_was_being_written_does_not_count(database: Path) -> None:
    raw = bytearray(database.read_bytes())
    newest = newest_meta(raw)
    raw[newest + PAGE.size + 56 : newest + PAGE.size + 64] = b"\0" * 8  # its checksum
    database.write_bytes(raw)
    assert look(database, lambda state: state._meta.transaction) % 2 == (0 if newest else 1)


def test_a_state_that_has_gone_meanwhile_is_read_again(database: Path) -> None:
    raw = database.read_bytes()
    older = bytearray(raw)
    newest = newest_meta(raw)
    older[newest : newest + PAGE_BYTES] = b"\0" * PAGE_BYTES
    database.write_bytes(older)
    seen: list[int] = []

    def read(state: State) -> str:
        seen.append(state._meta.transaction)
        with database.open("r+b") as file:  # the next transaction is over before this is
            file.write(raw)
        return built_as(state, LAYERS)

    assert look(database, read) == SNAPSHOT
    assert seen == [seen[0], seen[0] + 1, seen[0] + 1][: len(seen)]
    assert len(seen) == 2


def test_one_that_is_always_written_to_is_given_up(database: Path) -> None:
    raw = database.read_bytes()
    newest, turns = newest_meta(raw), [0]
    other = bytearray(raw)
    other[newest : newest + PAGE_BYTES] = b"\0" * PAGE_BYTES

    def read(state: State) -> None:
        turns[0] += 1
        with database.open("r+b") as file:
            file.write(other if turns[0] % 2 else raw)

    with pytest.raises(Unreadable, match="written to each of 20 times"):
        look(database, read)


@pytest.mark.parametrize(
    "damage", ["empty", "short", "another file", "a page that is another", "no such kind"]
)
def test_what_is_no_such_database_is_said_and_never_believed(database: Path, damage: str) -> None:
    raw = bytearray(database.read_bytes())
    if damage == "empty":
        raw.clear()
    elif damage == "short":
        del raw[2 * PAGE_BYTES :]
    elif damage == "another file":
        raw[:] = b"SQLite format 3\0" + b"x" * 20_000
    else:
        root = struct.unpack_from("<Q", raw, newest_meta(raw) + PAGE.size + 16)[0] * PAGE_BYTES
        number, kind, count, beyond = PAGE.unpack_from(raw, root)
        changed = (number + 1, kind) if damage == "a page that is another" else (number, 64)
        PAGE.pack_into(raw, root, *changed, count, beyond)
    database.write_bytes(raw)
    with pytest.raises(Unreadable):
        look(database, lambda state: built_as(state, LAYERS))
    with pytest.raises(Unreadable):
        look(database.with_name("none"), keys)
