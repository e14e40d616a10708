"""Facts about the packaged sample log."""

from __future__ import annotations

import time
from decimal import Decimal

from sample_generator import SAMPLE, sample_csv

from ssot_engine.offline.findings import find_savings
from ssot_engine.offline.latency import latency_by_model
from ssot_engine.offline.period import Period
from ssot_engine.offline.prices import PriceTable
from ssot_engine.offline.sample import SAMPLE_LABEL, sample_log
from ssot_engine.offline.spend import Dimension, spend_by


def test_the_shipped_file_is_what_the_generator_makes() -> None:
    """Byte for byte, so everybody can make it again."""
    assert sample_csv() == SAMPLE.read_bytes()


def test_the_sample_is_labelled_and_small() -> None:
    """Its name and label say sample; it stays a small file."""
    log = sample_log()
    assert "sample usage log (synthetic)" == SAMPLE_LABEL == log.label
    assert SAMPLE.name.startswith("sample_")
    assert 2_000 <= len(log.calls) <= 3_000
    assert SAMPLE.stat().st_size < 250_000
    assert 29 < Period.of(log).days <= 30


def test_the_sample_has_something_to_find() -> None:
    """A cache, a smaller model and failures each save at least a twentieth of the cost; one model is slow, one hour
    full."""
    log, prices = sample_log(), PriceTable.load()
    found = find_savings(log, prices)
    total = spend_by(log, prices, Dimension.MODEL).total
    assert [one.title.split()[0] for one in found] == ["Cache", "Move", "Stop"]
    assert all(one.saving > total * Decimal("0.05") for one in found)
    slow, second, *_ = latency_by_model(log)
    assert slow.p95_ms > 10 * second.p95_ms
    assert max(line.bill.calls for line in spend_by(log, prices, Dimension.HOUR).lines) > len(log.calls) / 8


def test_reading_the_sample_and_finding_its_savings_is_quick() -> None:
    """Less than a second of processor time, some twenty times what it takes."""
    began = time.process_time()
    find_savings(sample_log(), PriceTable.load())
    assert time.process_time() - began < 1
