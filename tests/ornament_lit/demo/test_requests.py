"""What a program that is no browser may ask of the page's server: no files but its own, and no folder but its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from ornament_lit.demo.examples import examples
from ornament_lit.demo.generating import Generator, NamedFile
from ornament_lit.demo.page import Page
from ornament_lit.demo.serving import guarded

BOX = [40, 30, 100, 90]
META = {"meta": {"_type": "gradio.FileData"}}
API = "/gradio_api"


@pytest.fixture
def client(warping: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Asks the page, mounted as the command mounts it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with TestClient(Page(warping).mounted(guarded(any_address=False)), base_url="http://127.0.0.1") as asking:
        yield asking


def uploaded(client: TestClient, file: NamedFile) -> str:
    """Where the server has put a file."""
    answer = client.post(f"{API}/upload", files={"files": (file.name, Path(file.path).read_bytes())})
    return str(answer.json()[0])


def send(client: TestClient, data: list[Any], outputs: int, session: str) -> tuple[dict[str, Any], list[str]]:
    """Have the handler of so many inputs and outputs called; the last message, and what was said on the way."""
    handlers = client.get("/config").json()["dependencies"]
    handler = next(each for each in handlers if (len(each["inputs"]), len(each["outputs"])) == (len(data), outputs))
    body = {"data": data, "fn_index": handler["id"], "session_hash": session}
    assert client.post(f"{API}/queue/join", json=body).status_code == 200
    with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        messages = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line]
    done = next(message for message in messages if message["msg"] == "process_completed")
    return done, [message["log"] for message in messages if message["msg"] == "log"]


def press(
    client: TestClient, ornament: dict[str, Any], person: dict[str, Any], session: str
) -> tuple[dict[str, Any], list[str]]:
    """Press "Try it on"."""
    return send(client, [ornament, {"image": person, "box": BOX}, "ring", 30, 0, "mask", False], 6, session)


def result_of(message: dict[str, Any]) -> dict[str, Any] | None:
    """The image, if one was made."""
    shown = message["output"]["data"][0] if message["success"] else None
    return shown if shown and "path" in shown else None


def test_an_upload_is_tried_on(client: TestClient, ring: NamedFile, hand: NamedFile) -> None:
    ornament, person = ({"path": uploaded(client, file), **META} for file in (ring, hand))
    shown = result_of(press(client, ornament, person, "tab")[0])
    assert shown is not None and client.get(f"{API}/file={shown['path']}").status_code == 200


@pytest.mark.parametrize("meta", [META, {}], ids=["as the page sends it", "bare"])
@pytest.mark.parametrize("role", ["ornament", "person"])
def test_no_other_file_of_this_machine_is_read(
    client: TestClient, ring: NamedFile, hand: NamedFile, role: str, meta: dict[str, Any], tmp_path: Path
) -> None:
    files = {"ornament": {"path": uploaded(client, ring), **META}, "person": {"path": uploaded(client, hand), **META}}
    Image.new("RGB", (90, 90), "red").save(tmp_path / "private.png")
    files[role] = {"path": str(tmp_path / "private.png"), **meta}
    message, _ = press(client, **files, session="tab")
    assert not message["success"] and result_of(message) is None
    assert str(tmp_path / "private.png") not in json.dumps(message)
    assert client.get(f"{API}/file={tmp_path}/private.png").status_code == 403


@pytest.mark.parametrize("session", ["../elsewhere", "..", "absolute"])
def test_the_name_of_a_session_leads_to_no_folder(
    client: TestClient, ring: NamedFile, hand: NamedFile, session: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keep").touch()
    before = set(tmp_path.iterdir()) | {tmp_path / "worn"}
    ornament, person = ({"path": uploaded(client, file), **META} for file in (ring, hand))
    named = str(elsewhere) if session == "absolute" else session
    assert result_of(press(client, ornament, person, named)[0]) is not None
    assert set(tmp_path.iterdir()) - {tmp_path / "uploads"} == before
    assert [path.name for path in elsewhere.iterdir()] == ["keep"]
    assert all(len(path.name) == 64 for path in (tmp_path / "worn").iterdir())


def test_examples_are_served_wherever_the_package_lies(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done, _ = send(client, [0], 3, "tab")
    shown = done["output"]["data"][0]
    assert Path(shown["path"]).read_bytes() == Path(examples()[0].ornament.path).read_bytes()


def test_an_upload_that_is_gone_is_to_be_chosen_again(client: TestClient, ring: NamedFile, hand: NamedFile) -> None:
    ornament, person = ({"path": uploaded(client, file), **META} for file in (ring, hand))
    Path(ornament["path"]).unlink()
    message, said = press(client, ornament, person, "tab")
    assert result_of(message) is None and said == ["my ring.png is no longer here; choose it again"]
