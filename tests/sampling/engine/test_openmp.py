"""Which OpenMP runtime a program is started with."""

import os
import sys

import pytest

from sampling.engine import openmp


@pytest.fixture
def library(tmp_path, monkeypatch):
    """An installation that carries the fast runtime."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    path = tmp_path / "lib" / "libiomp5.so"
    path.parent.mkdir()
    path.touch()
    return str(path)


def test_the_fast_runtime_is_loaded_first_and_uses_every_core(library):
    added = openmp.variables({"LD_PRELOAD": "/lib/libtcmalloc.so"})

    assert added["LD_PRELOAD"] == f"{library}:/lib/libtcmalloc.so"
    assert added["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))


def test_what_somebody_has_chosen_is_kept(library):
    assert "OMP_NUM_THREADS" not in openmp.variables({"OMP_NUM_THREADS": "1"})
    assert openmp.variables({"LD_PRELOAD": "/lib/libgomp.so.1"}) == {}
    assert openmp.variables(openmp.variables({})) == {}


def test_an_installation_without_it_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert openmp.variables({}) == {}
