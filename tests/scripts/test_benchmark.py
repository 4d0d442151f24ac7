"""Every benchmark writes one form, and says on what it was measured."""

import json
import platform
import socket
import statistics
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loaded import script

benchmark = script("benchmark")
Row = benchmark.Row

positive = st.floats(1e-6, 1e12)


@given(positive, positive)
def test_the_ratio_is_ours_over_the_peers(ours: float, peer: float) -> None:
    row = Row(id="zk-some", ours=ours, peer=peer, unit="s")
    assert row.ratio * peer == pytest.approx(ours)


@given(positive)
def test_without_a_peer_there_is_no_ratio(ours: float) -> None:
    assert Row(id="zk-some", ours=ours, peer=None, unit="s").ratio is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_the_median_has_as_many_runs_above_as_below(values: list[float]) -> None:
    found = benchmark.median(values)
    assert found == statistics.quantiles([*values, *values], n=2, method="inclusive")[0]


def test_the_file_has_the_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench.json"
    rows = [
        Row(id="zk-prove-some", ours=1.0, peer=4.0, unit="CPU s"),
        Row(id="cli-start", ours=0.125, peer=None, unit="s"),
    ]
    benchmark.report(rows, out)
    value = json.loads(out.read_text())
    assert set(value) == {"machine", "versions", "rows"}
    assert value["rows"] == [
        {"id": "zk-prove-some", "ours": 1.0, "peer": 4.0, "ratio": 0.25, "unit": "CPU s"},
        {"id": "cli-start", "ours": 0.125, "peer": None, "ratio": None, "unit": "s"},
    ]
    assert value["versions"]["numpy"] == version("numpy")
    assert {"cpu", "cores", "memory", "python", "system"} <= set(value["machine"])
    assert value["machine"]["python"] == platform.python_version()
    shown = capsys.readouterr().out
    for fact in (*map(str, value["machine"].values()), *value["versions"].values(), "0.250"):
        assert fact in shown


def test_the_name_of_the_host_is_nobodys_business(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    benchmark.report([Row(id="zk-some", ours=1.0, peer=None, unit="s")], out)
    assert json.dumps(socket.gethostname()) not in out.read_text()


def test_without_a_file_only_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.report([Row(id="zk-some", ours=1234.5, peer=None, unit="bytes")], None)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["zk-some", "1,234", "bytes"]
