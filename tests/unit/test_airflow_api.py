"""A few words with Airflow, held by a server that is slow to know its DAGs and hangs up on callers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pdic.airflow_api import Api, NotThere
from pdic.errors import PdicError


class Airflow(ThreadingHTTPServer):
    """Answers of `pages` in turn, the last one for ever: a status and a body, or None for a connection that breaks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, list[tuple[int, object] | None]] = {}
        self.asked: list[str] = []


class Page(BaseHTTPRequestHandler):
    server: Airflow

    def do_GET(self) -> None:
        path = self.path.removeprefix("/api/v2/").partition("?")[0]
        self.server.asked.append(path)
        answers = self.server.pages[path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        self.end_headers()
        self.wfile.write(json.dumps(answer[1]).encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with Airflow() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def api(airflow: Airflow) -> Api:
    return Api(f"http://127.0.0.1:{airflow.server_port}", "token")


def test_a_dag_that_is_listed_before_it_is_written_whole_is_waited_for(airflow: Airflow, api: Api) -> None:
    airflow.pages = {
        "dags": [(200, {"dags": []}), (200, {"dags": [{"dag_id": "load_health"}]})],
        "importErrors": [(200, {"import_errors": []})],
        "dags/load_health/details": [(404, {"detail": "not found"}), (200, {"dag_id": "load_health"})],
    }
    api.wait_for_dag("load_health", 20)
    assert airflow.asked.count("dags/load_health/details") == 2


def test_a_dag_that_cannot_be_imported_is_told_at_once(airflow: Airflow, api: Api) -> None:
    broken = {"filename": "dags/load.py", "stack_trace": "NameError"}
    airflow.pages = {"dags": [(200, {"dags": []})], "importErrors": [(200, {"import_errors": [broken]})]}
    with pytest.raises(PdicError, match=r"dags/load\.py: NameError"):
        api.wait_for_dag("load_health", 20)


def test_reading_is_tried_again_and_asking_is_not(airflow: Airflow, api: Api) -> None:
    airflow.pages = {"pools": [None, (503, {}), (200, {"pools": []})]}
    assert api.get("pools") == {"pools": []}
    airflow.pages = {"dags/load_health/dagRuns": [None]}
    airflow.asked.clear()
    with pytest.raises(PdicError, match="does not answer"):
        api.trigger("load_health")
    assert airflow.asked == ["dags/load_health/dagRuns"]


def test_what_is_not_there_is_told_from_what_is_refused(airflow: Airflow, api: Api) -> None:
    airflow.pages = {"dags/x/details": [(404, {"detail": "not found"})], "pools": [(403, {"detail": "forbidden"})]}
    with pytest.raises(NotThere):
        api.get("dags/x/details")
    with pytest.raises(PdicError, match="403") as refused:
        api.get("pools")
    assert not isinstance(refused.value, NotThere)
