import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from pictures import picture, write_list
from processes import ended

from caffe_losses.data import Batches, close_workers, feed

pytestmark = pytest.mark.slow

SMALL = {"classes": 3, "batch_size": 4, "workers": 1}


def batches(source, train=False, **options):
    return Batches(train, source=source, **dict(SMALL, **options))


def seen(data):
    """Which pictures are in the batch."""
    known = {picture(k).transpose(2, 0, 1).astype(np.float32).tobytes(): k for k in range(12)}
    return [known[image.tobytes()] for image in data]


def test_batches_wrap_round_and_labels_stay_with_their_images(tmp_path):
    reader = batches(write_list(tmp_path, 6), workers=2, prefetch=3)
    order = []
    for _ in range(6):
        data, labels, weights = reader.next()
        images = seen(data)
        order += images
        for k, row in zip(images, labels):
            assert set(np.flatnonzero(row)) == {k % 3, k // 2 % 3}
        assert weights.tolist() == [1] * 4
    assert order == list(range(6)) * 4


def test_index_labels(tmp_path):
    data, labels, _ = batches(write_list(tmp_path, 6), label_format="INDEX").next()
    assert seen(data) == [0, 1, 2, 3]
    assert labels.tolist() == [[0, -1], [0, 1], [1, 2], [0, 1]]
    assert batches(write_list(tmp_path, 6), label_format="INDEX", max_labels=5).next().labels.shape == (4, 5)


@pytest.mark.parametrize("workers, prefetch", [(1, 1), (3, 4)])
def test_workers_do_not_change_what_comes(tmp_path, workers, prefetch):
    random = {"train": True, "shuffle": True, "mirror": True, "crop_size": 8, "seed": 5}
    source = write_list(tmp_path, 6)
    usual, other = batches(source, **random), batches(source, workers=workers, prefetch=prefetch, **random)
    for _ in range(5):
        for expected, array in zip(usual.next(), other.next()):
            np.testing.assert_array_equal(array, expected)


def test_solvers_share_what_one_would_have(tmp_path):
    random = {"train": True, "shuffle": True, "mirror": True, "crop_size": 8}
    source = write_list(tmp_path, 7)
    alone = batches(source, **random)
    shared = [batches(source, rank=rank, ranks=2, **dict(random, batch_size=2)) for rank in range(2)]
    for _ in range(5):
        data, labels, _ = alone.next()
        for rank, reader in enumerate(shared):
            batch = reader.next()
            np.testing.assert_array_equal(data[rank::2], batch.data)
            np.testing.assert_array_equal(labels[rank::2], batch.labels)


def test_resampling_repeats_rare_labels(tmp_path):
    source = write_list(tmp_path, 12)
    with open(source, "w") as file:
        file.write("0.png 1\n" + "".join(f"{k}.png 0\n" for k in range(1, 10)))
    order = []
    reader = batches(source, train=True, resample=True)
    for _ in range(6):
        order += seen(reader.next().data)
    assert np.bincount(order).tolist() == [6] + [2] * 9  # sqrt(9 / 1) = 3 times in an epoch of 12


def test_an_image_that_is_broken_is_named_and_refused(tmp_path):
    source = write_list(tmp_path, 6)
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"MultiLabelImageData: .*2\.png is no image.* or give broken SKIP"):
        batches(source).next()
    os.remove(str(tmp_path / "2.png"))
    with pytest.raises(ValueError, match=r"No such file.*2\.png"):
        batches(source).next()


def test_or_named_and_skipped(tmp_path, capfd):
    source = write_list(tmp_path, 6)
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    os.remove(str(tmp_path / "5.png"))
    reader = batches(source, broken="SKIP", batch_size=6)
    data, labels, _ = reader.next()
    images = seen(data)
    assert images == [0, 1, 3, 3, 4, 0]
    assert [set(np.flatnonzero(row)) for row in labels] == [{k % 3, k // 2 % 3} for k in images]
    reader.close()
    err = capfd.readouterr().err
    assert "2.png is no image that can be decoded, or not all of one; skipped" in err
    assert "5.png" in err


def break_pictures(folder, *numbers):
    for k in numbers:
        (folder / f"{k}.png").write_bytes(b"")


@pytest.mark.parametrize("workers, prefetch", [(1, 1), (3, 4)])
@pytest.mark.parametrize("batch_size, expected", [(1, [0, 3, 5, 0, 3, 5, 0, 3]), (2, [0, 0, 3, 3, 5, 5, 0, 0])])
def test_skipping_takes_the_next_batch_if_none_of_its_images_can_be_read(
    tmp_path, workers, prefetch, batch_size, expected
):
    source = write_list(tmp_path, 6)
    break_pictures(tmp_path, 1, 2, 4)
    reader = batches(source, broken="SKIP", batch_size=batch_size, workers=workers, prefetch=prefetch)
    order = []
    while len(order) < len(expected):
        data, labels, _ = reader.next()
        order += seen(data)
        assert [set(np.flatnonzero(row)) for row in labels] == [{k % 3, k // 2 % 3} for k in seen(data)]
    assert order == expected


@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_a_list_without_any_image_that_can_be_read_is_refused(tmp_path, batch_size):
    source = write_list(tmp_path, 6)
    break_pictures(tmp_path, *range(6))
    with pytest.raises(ValueError, match="no image of the list can be read; see the lines above"):
        batches(source, broken="SKIP", batch_size=batch_size, crop_size=8).next()


@pytest.mark.parametrize("workers, prefetch", [(1, 3000), (3, 3001), (3, 2), (64, 1)])
def test_any_prefetch_works_with_any_number_of_workers(tmp_path, workers, prefetch):
    """Results of 3000 requests do not fit into a pipe; nor do the requests."""
    reader = batches(write_list(tmp_path, 6, height=2, width=2), workers=workers, prefetch=prefetch, crop_size=1)
    labels = np.concatenate([reader.next().labels for _ in range(9)])
    assert [set(np.flatnonzero(row)) for row in labels] == [{k % 3, k // 2 % 3} for k in range(6)] * 6
    reader.close()


def test_more_ahead_than_the_memory_holds_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"1000000 batches ahead of 4 x 3 x 1000 x 1000 numbers take \d+.\d GiB, and the"
    ):
        batches(write_list(tmp_path, 6), prefetch=10**6, new_height=1000, new_width=1000).next()


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("end", [Batches.close, lambda reader: close_workers(), "another"])
def test_a_reader_goes_on_where_it_stopped(tmp_path, shuffle, end):
    options = {"train": True, "shuffle": shuffle, "crop_size": 8, "mirror": True, "broken": "SKIP", "batch_size": 2}
    options["workers"] = 1
    source = write_list(tmp_path, 7)
    break_pictures(tmp_path, 2, 3)
    whole, parted = batches(source, **options), batches(source, **options)
    for k in range(8):
        expected, batch = whole.next(), parted.next()
        np.testing.assert_array_equal(batch.data, expected.data)
        np.testing.assert_array_equal(batch.labels, expected.labels)
        assert whole.position == parted.position >= 2 * (k + 1)
        if k % 3 == 2 and end == "another":
            position, parted = parted.position, batches(source, **options)
            parted.position = position
        elif k % 3 == 2:
            end(parted)


def test_close_workers_ends_all_of_this_process(tmp_path):
    readers = [batches(write_list(tmp_path, 6), workers=2) for _ in range(2)]
    for reader in readers:
        reader.next()
    processes = [process for reader in readers for process in workers_of(reader)]
    close_workers()
    assert all(process.poll() is not None for process in processes)


def test_a_worker_that_stands_still_is_named_and_waited_for(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(feed, "STALL", 0.2)
    reader = batches(write_list(tmp_path, 6), workers=1, prefetch=1)
    reader.next()
    (process,) = workers_of(reader)
    process.send_signal(signal.SIGSTOP)
    for _ in range(2):  # the first batch may have been ready
        threading.Timer(0.7, process.send_signal, [signal.SIGCONT]).start()
        reader.next()
        process.send_signal(signal.SIGSTOP)
    reader.close()
    line = f"MultiLabelImageData: no batch from the worker process {process.pid} for 0.2 seconds; it is stopped"
    assert f"{line}, and goes on after kill -CONT {process.pid}\n" in capfd.readouterr().err


@pytest.mark.parametrize("options, message", [
    ({"source": None}, "source must be a file's name, got None; it is required"),
    ({"classes": None}, "classes must be a file's name, or a whole number >= 1, got None; it is required"),
    ({"batch_size": 0}, "batch_size must be a whole number >= 1, got 0; it is required"),
    ({"broken": "IGNORE"}, "broken must be one of REFUSE, SKIP, got 'IGNORE'"),
    ({"label_format": "INDEX", "max_labels": 1}, "has an image with 2 labels; give max_labels as many"),
    ({"classes": 2}, "line 3: expected one of 2 classes"),
    ({"bach_size": 2}, "did you mean batch_size?"),
])  # fmt: skip
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        batches(**dict({"source": write_list(tmp_path, 6)}, **options))


@pytest.mark.parametrize("name", ["source", "batch_size", "classes"])
def test_what_is_required_is_said_to_be(tmp_path, name):
    options = {"source": write_list(tmp_path, 6), **SMALL}
    del options[name]
    with pytest.raises(ValueError, match=f"^MultiLabelImageData: {name} is required, got none; give a "):
        Batches(True, **options)


def test_images_of_different_sizes_are_named(tmp_path):
    source = write_list(tmp_path, 6)
    write_list(tmp_path, 1, name="other.txt", height=20)
    with pytest.raises(ValueError, match="give new_height and new_width, or crop_size"):
        batches(source).next()


def workers_of(reader):
    return [worker.process for worker in reader.feed.workers]


def test_close_ends_the_workers(tmp_path):
    reader = batches(write_list(tmp_path, 6), workers=2)
    reader.next()
    processes = workers_of(reader)
    assert all(process.poll() is None for process in processes)
    reader.close()
    assert all(process.poll() is not None for process in processes)


def test_so_does_forgetting_them(tmp_path):
    reader = batches(write_list(tmp_path, 6), workers=2)
    reader.next()
    processes = workers_of(reader)
    del reader
    assert all(process.poll() is not None for process in processes)


def test_a_worker_that_is_killed_is_told_of(tmp_path):
    reader = batches(write_list(tmp_path, 6), workers=1)
    reader.next()
    workers_of(reader)[0].kill()
    with pytest.raises(RuntimeError, match="a worker process ended with status -9"):
        for _ in range(6):
            reader.next()


READER = """
import sys
sys.path.insert(0, {root!r})
from caffe_losses.data import Batches

batches = Batches(True, source={source!r}, classes=3, batch_size=4, workers=2)
while True:
    batches.next()
    print(*(worker.process.pid for worker in batches.feed.workers), flush=True)
    {then}
"""


def reading_process(source, then="pass"):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = READER.format(root=root, source=source, then=then)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return process, [int(pid) for pid in process.stdout.readline().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_outlive_no_signal_to_their_process(tmp_path, number):
    process, pids = reading_process(write_list(tmp_path, 6))
    process.send_signal(number)
    process.stdout.close()
    process.wait()
    assert len(pids) == 2
    assert ended(pids)


@pytest.mark.parametrize("then", ["raise SystemExit", "1 / 0", "import os; os._exit(3)"])
def test_nor_its_end(tmp_path, then):
    process, pids = reading_process(write_list(tmp_path, 6), then)
    process.stdout.close()
    process.wait()
    assert len(pids) == 2
    assert ended(pids)
