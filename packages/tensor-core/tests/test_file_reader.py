"""The records of a ``.pt`` file, read one by one."""

import pytest

import flambeau as fb


def test_file_reader_lists_and_reads_records(tmp_path):
    path = tmp_path / "two.pt"
    fb.save({"a": fb.arange(3.0), "b": fb.tensor([4, 5])}, path)
    reader = fb.PyTorchFileReader(str(path))
    assert {"data.pkl", "data/0", "data/1"} <= set(reader.get_all_records())
    assert b"_rebuild_tensor_v2" in reader.get_record("data.pkl")
    assert reader.get_storage_from_record("data/0", 3, fb.float32).tolist() == [0.0, 1.0, 2.0]
    assert reader.get_storage_from_record("data/1", 2, fb.int64).untyped_storage().nbytes() == 16


def test_the_error_names_a_missing_record(tmp_path):
    path = tmp_path / "one.pt"
    fb.save([fb.zeros(2)], path)
    reader = fb.PyTorchFileReader(path)
    assert not reader.has_record("data/1")
    with pytest.raises(RuntimeError, match="no entry 'data/1'"):
        reader.get_record("data/1")
    with pytest.raises(RuntimeError, match="8 bytes"):
        reader.get_storage_from_record("data/0", 3, fb.float32)
