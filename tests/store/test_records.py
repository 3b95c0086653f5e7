"""What a run reports: progress, metrics, log, checkpoints."""

import math

import pytest

from service.store.artifacts import ArtifactStore
from service.store.blob_uses import blobs_in_use
from service.store.events import EventStore
from service.store.finishing import LOG_LIMIT_BYTES
from service.store.logs import LogStore
from service.store.metrics import MetricStore, Series
from service.store.session import dialect_of
from service.store.stretches import count_from
from service.store.values import JobProgress, NewArtifact, NewEvent, Point, Released, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import SHA, checkpoint


def test_a_report_is_kept(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    progress = JobProgress(3, 10, "training")
    events = [NewEvent("epoch", {"epoch": 1})]
    assert jobs.do(lambda s: s.record(job.id, job.run, progress=progress, events=events, log=b"a"))
    assert jobs.do(lambda s: s.record(job.id, job.run, log=b"bc"))
    row = jobs.row(job.id)
    assert (row.progress_step, row.progress_total, row.progress_phase) == (3, 10, "training")
    with jobs.database.read() as session:
        assert EventStore(session).list(job.id, after=2)[0].data == {"epoch": 1}
        logs = LogStore(session)
        assert logs.size(job.id) == 3
        assert logs.read(job.id, 0, 100) == b"abc"
        assert logs.read(job.id, 1, 2) == b"b"
        assert logs.read(job.id, 3, 9) == b""


def test_waiting_for_the_machine_is_time_in_the_queue_and_not_of_the_run(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    queued = jobs.row(job.id).queue_seconds
    jobs.watch.pass_(5)
    assert jobs.do(lambda s: s.record(job.id, job.run, waited_s=3.0))
    jobs.do(lambda s: s.finish(job.id, job.run, Released()))
    row = jobs.row(job.id)
    assert (row.queue_seconds, row.run_seconds) == (queued + 3.0, 2.0)


def test_a_later_run_replaces_the_points_it_passes_again(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    first = [Point("loss", step, 1.0) for step in (1, 2, 3)]
    again = [Point("loss", 2, 0.5), Point("loss", 2, 0.25), Point("accuracy", 2, 0.5)]
    jobs.do(lambda s: s.record(job.id, job.run, points=first))
    jobs.do(lambda s: s.record(job.id, job.run, points=again))
    with jobs.database.read() as session:
        metrics = MetricStore(session)
        counts = {name: metrics.series(job.id, name).count for name in metrics.names(job.id)}
        assert counts == {"accuracy": 1, "loss": 3}
        values = [(point.step, point.value) for point in metrics.points(job.id, "loss")]
    assert values == [(1, 1.0), (2, 0.25), (3, 1.0)]


def test_a_thinned_series_keeps_its_ends_and_its_extremes(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    points = [Point("loss", step, math.sin(step)) for step in range(1000)]
    points[617] = Point("loss", 617, -7.0)
    points[13] = Point("loss", 13, 9.0)
    jobs.do(lambda s: s.record(job.id, job.run, points=points))
    with jobs.database.read() as session:
        metrics = MetricStore(session)
        for most in (4, 5, 50, 999):
            kept = [(point.step, point.value) for point in metrics.points(job.id, "loss", most)]
            assert len(kept) <= most
            assert kept == sorted(kept)
            assert kept[0][0] == 0
            assert kept[-1][0] == 999
            assert {(617, -7.0), (13, 9.0)} <= set(kept)
        assert len(metrics.points(job.id, "loss", 2)) == 2
        assert len(metrics.points(job.id, "loss", 1000)) == 1000


def test_a_series_that_stands_still_is_thinned_to_a_point_a_stretch(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    points = [Point("rate", 3_000_000_000 // 2 + step, 0.5) for step in range(100)]
    jobs.do(lambda s: s.record(job.id, job.run, points=points))
    with jobs.database.read() as session:
        kept = MetricStore(session).points(job.id, "rate", 10)
    assert [point.step - 1_500_000_000 for point in kept] == [0, 1, 26, 50, 75, 99]


def test_a_long_series_is_thinned_from_stretches_that_follow_every_rewrite(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    values = {step: math.sin(step) for step in range(100, 20_100, 5)}
    values |= {4500: -9.0, 15_000: 9.0}
    first = [Point("loss", step, value) for step, value in values.items()]
    values |= {4500: 0.0, 9005: -7.0, 19_990: 8.0, 15_000: 7.0}  # a later run passes them again
    again = [Point("loss", step, values[step]) for step in (4500, 9005, 15_000, 19_990)]
    for points in (first, again):
        jobs.do(lambda s, points=points: s.record(job.id, job.run, points=points))  # type: ignore[misc]
    ends = {(100, values[100]), (20_095, values[20_095])}
    lowest_later = min(value for step, value in values.items() if step > 9100)
    for most in (4, 7, 40, 300):
        with jobs.database.read() as session:
            metrics = MetricStore(session)
            found = metrics.series(job.id, "loss", most)
            later = metrics.series(job.id, "loss", most, after=9100)
            assert metrics.series(job.id, "loss", most, after=1995).count == 3620
        kept = [(point.step, point.value) for point in found.points]
        assert (found.count, later.count) == (4000, 2199)
        assert most // 2 <= len(kept) <= most
        assert kept == sorted(kept)
        assert all(values[step] == value for step, value in kept)
        assert ends | {(9005, -7.0), (19_990, 8.0)} <= set(kept)
        assert {9105, 19_990, 20_095} <= {point.step for point in later.points}
        assert min(point.value for point in later.points) == lowest_later


def test_what_is_new_of_a_series_is_read_by_its_step(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    points = [Point(name, step, float(step)) for name in ("loss", "a") for step in range(100)]
    jobs.do(lambda s: s.record(job.id, job.run, points=[*points, Point("rate", 7, 1.0)]))
    with jobs.database.read() as session:
        metrics = MetricStore(session)
        assert metrics.names(job.id) == ["a", "loss", "rate"]
        assert metrics.names("job_of_nobody") == []
        new = metrics.series(job.id, "loss", after=97)
        assert (new.count, [point.step for point in new.points]) == (2, [98, 99])
        thin = metrics.series(job.id, "loss", 4, after=49)
        assert (thin.count, [point.step for point in thin.points]) == (50, [50, 51, 98, 99])
        assert metrics.series(job.id, "loss", after=99) == Series(0, [])


def test_what_gathered_during_an_outage_of_an_hour_is_kept(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    with jobs.database.read() as session:
        # so many rows have more parameters than a statement may
        count = 14_000 if dialect_of(session) == "postgresql" else 50_001
    points = [Point("loss", 300 * step, 1.0) for step in range(count)]
    assert jobs.do(lambda s: s.record(job.id, job.run, points=points))
    with jobs.database.read() as session:
        assert count_from(session, job.id, "loss", 0) == count


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(jobs: Jobs, value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        Point("loss", 1, value)
    job = jobs.in_state("running")
    with pytest.raises(ValueError, match="JSON"):
        jobs.do(lambda s: s.record(job.id, job.run, events=[NewEvent("epoch", {"loss": value})]))
    assert jobs.row(job.id).event_seq == 2


def test_characters_that_postgres_refuses_are_replaced(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    data = {"text": "a\x00b\ud800c \\u0000"}
    jobs.do(lambda s: s.record(job.id, job.run, events=[NewEvent("warning", data)]))
    with jobs.database.read() as session:
        (event,) = EventStore(session).list(job.id, after=2)
    assert event.data["text"].startswith("a\ufffdb\ufffd")
    assert event.data["text"].endswith("c \\u0000")


def test_a_log_ends_at_its_limit_and_says_so(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    for chunk in (b"x" * (LOG_LIMIT_BYTES - 1), b"yz", b"never"):
        assert jobs.do(lambda s, chunk=chunk: s.record(job.id, job.run, log=chunk))  # type: ignore[misc]
    with jobs.database.read() as session:
        size = LogStore(session).size(job.id)
        end = LogStore(session).read(job.id, LOG_LIMIT_BYTES - 2, size)
    assert end == b"xy\n[the log is longer than is kept]\n"


def test_the_two_newest_checkpoints_are_kept(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    for step in (10, 20, 5):  # 5: training rolled back
        jobs.watch.pass_(1)
        assert jobs.do(lambda s, step=step: s.add_checkpoint(job.id, job.run, checkpoint(step)))  # type: ignore[misc]
    with jobs.database.read() as session:
        kept = ArtifactStore(session).checkpoints(job.id)
        assert [row.step for row in kept] == [5, 20]
        steps = [e.data["step"] for e in EventStore(session).list(job.id) if e.type == "checkpoint"]
    assert steps == [10, 20, 5]
    assert not jobs.do(lambda s: s.add_checkpoint(job.id, job.run + 1, checkpoint(30)))


def test_the_newest_artifact_of_a_name_is_found_within_its_project(jobs: Jobs) -> None:
    for sha in ("a", "b"):
        job = jobs.in_state("running")
        jobs.watch.pass_(1)
        made = NewArtifact("x.safetensors", "teacher_logits", "application/x", SHA[sha], 3)
        jobs.do(
            lambda s, job=job, made=made: s.finish(  # type: ignore[misc]
                job.id, job.run, Succeeded({}, artifacts=(made,))
            )
        )
    with jobs.database.read() as session:
        artifacts = ArtifactStore(session)
        found = artifacts.newest("p", "teacher_logits", "x.safetensors")
        assert found is not None
        assert found.sha256 == SHA["b"]
        assert artifacts.newest("q", "teacher_logits", "x.safetensors") is None
        assert artifacts.newest("p", "report", "x.safetensors") is None


def test_artifacts_are_found_by_name_and_keep_their_blobs_in_use(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    jobs.do(lambda s: s.add_checkpoint(job.id, job.run, checkpoint(1, SHA["b"])))
    report = NewArtifact("report.json", "report", "application/json", SHA["a"], 3)
    jobs.do(lambda s: s.finish(job.id, job.run, Succeeded({}, artifacts=(report,))))
    with jobs.database.read() as session:
        artifacts = ArtifactStore(session)
        assert [row.id for row in artifacts.list(job.id)] == [report.id]
        found = artifacts.named(job.id, "report.json")
        assert found is not None
        assert artifacts.get(found.id, "p").sha256 == SHA["a"]
        assert artifacts.named(job.id, "report.html") is None
        assert blobs_in_use(session, list(SHA.values())) == {SHA["a"], SHA["b"]}
