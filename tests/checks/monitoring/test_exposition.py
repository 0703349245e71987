"""Metrics are read as Prometheus reads them, or not at all; selectors mean what they mean in PromQL."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.monitoring.sources import exposition
from checks.monitoring.sources.exposition import Exposition, Key, Selector


def series(name: str, **labels: str) -> Key:
    """One series."""
    return name, tuple(sorted(labels.items()))


def values(text: str, selector: str = "n") -> list[float]:
    """The values that a selector finds in an answer."""
    return [one.value for one in Exposition({"n": Selector.read(selector)}).read(text).samples["n"]]


OK, SHUT, BUSY, BARE = (
    series("http_requests_total", status="200", route="/"),
    series("http_requests_total", status="503", route="/bot"),
    series("http_requests_total", status="1503", route="/bot"),
    series("http_requests_total"),
)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("http_requests_total", [OK, SHUT, BUSY, BARE]),
        ("http_requests_total{}", [OK, SHUT, BUSY, BARE]),
        (" http_requests_total { } ", [OK, SHUT, BUSY, BARE]),
        ("http_requests", []),
        ('http_requests_total{status="503"}', [SHUT]),
        ("http_requests_total{status='503'}", [SHUT]),
        ('http_requests_total{status="503",}', [SHUT]),
        ('http_requests_total{ status = "503" , route = "/bot" }', [SHUT]),
        ('http_requests_total{status="503",route="/"}', []),
        ('http_requests_total{status!="503"}', [OK, BUSY, BARE]),
        ('http_requests_total{status=~"5.."}', [SHUT]),
        ('http_requests_total{status=~".*5.."}', [SHUT, BUSY]),
        ('http_requests_total{status=~"200|503"}', [OK, SHUT]),
        ('http_requests_total{status!~"5.."}', [OK, BUSY, BARE]),
        ('http_requests_total{status=""}', [BARE]),
        ('http_requests_total{status!=""}', [OK, SHUT, BUSY]),
        ('http_requests_total{status=~".+",route!~"/b.*"}', [OK]),
    ],
)
def test_a_selector_takes_what_promql_takes(text: str, taken: list[Key]) -> None:
    selector = Selector.read(text)
    assert [one for one in (OK, SHUT, BUSY, BARE) if selector.takes(one)] == taken


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no selector"),
        ("5xx", "no selector"),
        ("a b", "no selector"),
        ('a{b="c"', "no selector"),
        ('a{b="c"}[5m]', "no selector"),
        ("a{b}", "cannot be read from"),
        ("a{b=c}", "cannot be read from"),
        ('a{b=="c"}', "cannot be read from"),
        ('a{b="c" d="e"}', "cannot be read from"),
        ('a{,b="c"}', "cannot be read from"),
        ('a{b=~"("}', "pattern “\\(” is none"),
    ],
)
def test_what_is_no_selector_is_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Selector.read(text)


def test_a_label_value_is_what_stands_between_its_quotes() -> None:
    text = 'n{path="a\\"b}c,d=\\\\e\\nf"} 1\n'
    assert values(text, 'n{path="a\\"b}c,d=\\\\e\\nf"}') == [1]
    assert values(text, 'n{path=~"a.b}c,.*f"}') == [1]
    assert values(text, 'n{path="a"}') == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n 1\n", [1]),
        ("  n\t1.5e3 1700000000000\n\n", [1500]),
        ("n{} 7\n", [7]),
        ('n{a="b"}7\n', [7]),
        ('n {a="b",} +2\n', [2]),
        ('{"n",a="b"} 3\n', [3]),
        ("# HELP n x\n# TYPE n counter\nn 4\n# EOF\n", [4]),
        ("# TYPE n counter\nn 4\nother 5\nn_total 6\n", [4]),
        ("n 1\r\nm 2\r\n", [1]),
        ("n 0x\n", None),
        ("n 1_0\n", None),
        ("n 1.2.3\n", None),
        ("n\n", None),
        ("n 1 2 3\n", None),
        ('n{a="b} 1\n', None),
        ("n{a=b} 1\n", None),
        ('n{a="b",a="c"} 1\n', None),
        ("m one\n", None),
        ("<html>\n", None),
        ("OK fine\n", None),
        ('{"status": "ok"}\n', None),
        ("# only a remark\n", None),
        ("\0\0\0\n", None),
        ("n 1", None),
        ("n 1\nn{a=", None),
        ("n 1\nother 12345\nn{a=\n", None),
    ],
)
def test_an_answer_is_read_whole_or_not_at_all(text: str, found: list[float] | None) -> None:
    if found is None:
        with pytest.raises(ValueError, match=r"^[a-z].*[^.]$"):
            values(text)
    else:
        assert values(text) == found


def test_an_empty_answer_tells_nothing() -> None:
    scrape = Exposition({"n": Selector.read("n")}).read("")
    assert (dict(scrape.samples), scrape.declared) == ({"n": []}, frozenset())


def test_a_metric_without_samples_yet_is_there_and_another_is_not() -> None:
    names = {"requests": "http_requests_total", "duration": "seconds_bucket", "pool": "pool", "x": "nowhere"}
    reader = Exposition({name: Selector.read(text) for name, text in names.items()})
    scrape = reader.read("# TYPE http_requests_total counter\n# TYPE seconds histogram\n# HELP pool p\nm 1\n")
    assert scrape.declared == {"requests", "duration", "pool"}


@pytest.mark.parametrize("value", ["NaN", "nan", "-1", "+Inf", "-Inf", "1e999"])
def test_what_is_no_count_is_left_out_and_told(value: str) -> None:
    scrape = Exposition({"n": Selector.read("n")}).read(f'n{{a="1"}} {value}\nn{{a="2"}} 3\n')
    assert [one.value for one in scrape.samples["n"]] == [3]
    assert scrape.spoilt == {"n": 1}


def test_the_first_of_two_values_of_one_series_counts() -> None:
    assert values('n{a="1",b="2"} 3\nn{b="2",a="1"} 900\n') == [3]


def test_buckets_have_their_bounds() -> None:
    reader = Exposition({"d": Selector.read("d_bucket")})
    scrape = reader.read('d_bucket{le="0.5"} 1\nd_bucket{le="+Inf"} 2\n')
    assert [(one.bound_s, one.value) for one in scrape.samples["d"]] == [(0.5, 1), (math.inf, 2)]
    with pytest.raises(ValueError, match="le of line 1"):
        reader.read('d_bucket{le="nan"} 1\n')
    with pytest.raises(ValueError, match="line 1"):
        reader.read('d_bucket{le="half"} 1\n')


def test_one_sample_can_belong_to_several_metrics() -> None:
    reader = Exposition({"requests": Selector.read("n"), "errors": Selector.read('n{s=~"5.."}')})
    scrape = reader.read('n{s="200"} 99\nn{s="500"} 1\n')
    assert [one.value for one in scrape.samples["requests"]] == [99, 1]
    assert [one.value for one in scrape.samples["errors"]] == [1]


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="longer than 4 MiB"):
        values("n 1\n" * (1 << 21))
    with pytest.raises(ValueError, match="line 2 is no sample"):
        values("n 1\nn{a=" + '"' + "x" * (1 << 15) + '"} 1\n')
    monkeypatch.setattr(exposition, "MAX_SAMPLES", 10)
    with pytest.raises(ValueError, match="more than 10 samples"):
        values("m 1\n" * 11)


def test_what_is_remembered_of_labels_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "MAX_REMEMBERED_CHARS", 1000)
    reader = Exposition({"n": Selector.read("n")})
    for number in range(500):
        assert reader.read(f'n{{id="{number}"}} 1\n').samples["n"][0].value == 1
    assert sum(len(head) for head in reader._heads) <= 1000


HOSTILE = "n{a=" + '"' + "\\" * 16_000 + '"} 1\n'


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        'n{a="' * 3000 + "\n",
        "n{" + 'a="b",' * 2500 + "\n",
        "n" + " " * 16_000 + "\n",
        "{" * 16_000 + "\n",
    ],
    ids=["backslashes", "quotes", "labels", "blanks", "braces"],
)
def test_hostile_lines_do_not_hold_the_reader_up(text: str) -> None:
    # In a process of its own: a pattern that runs away cannot be interrupted.
    code = (
        "import sys; from checks.monitoring.sources.exposition import *\n"
        "try: Exposition({'n': Selector.read('n')}).read(sys.stdin.read())\n"
        "except ValueError: pass"
    )
    subprocess.run([sys.executable, "-c", code], input=text, text=True, timeout=60, check=True)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        scrape = Exposition({"n": Selector.read("n"), "e": Selector.read('n{s=~"5.."}')}).read(text)
    except ValueError:
        return
    assert all(one.value >= 0 for samples in scrape.samples.values() for one in samples)


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_label_value_comes_through_its_escapes(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    selector = Selector.read(f'n{{a="{escaped}"}}')
    assert selector.takes(series("n", a=value))
    assert not selector.takes(series("n", a=value + "x"))
