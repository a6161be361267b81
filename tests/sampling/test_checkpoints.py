"""What is read of a model's files."""

import json
import struct

import numpy
import pytest
from safetensors.numpy import save_file

from sampling import checkpoints


def test_the_numbers_of_a_model_are_those_of_all_its_files(tmp_path):
    save_file({"a": numpy.zeros((3, 4), numpy.float32)}, tmp_path / "model-1.safetensors", metadata={"format": "pt"})
    save_file({"b": numpy.zeros(5, numpy.float16), "c": numpy.zeros(())}, tmp_path / "model-2.safetensors")
    assert checkpoints.parameters(str(tmp_path)) == 12 + 5 + 1


@pytest.mark.parametrize(
    "content",
    [b"", b"short", struct.pack("<Q", 5) + b"[1,2]", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"{}"],
)
def test_a_file_that_cannot_be_read_has_none(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    assert checkpoints.parameters(str(tmp_path)) == 0


def test_neither_has_a_header_without_shapes_nor_what_is_not_here(tmp_path):
    header = json.dumps({"a": {"dtype": "F32"}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert checkpoints.parameters(str(tmp_path)) == 0
    assert checkpoints.parameters(str(tmp_path / "none")) == 0
    assert checkpoints.parameters("some/model-of-a-hub") == 0
