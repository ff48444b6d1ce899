from __future__ import annotations

import os

import pytest

from knotwork._files import replacing, require_writable


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "a.txt"
    with replacing(target) as beside:
        beside.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_existing_file_survives_a_failure(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with replacing(target) as beside:
            beside.write_text("half of the n")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_is_followed_and_kept(tmp_path):
    target, link = tmp_path / "a.txt", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as beside:
        beside.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_new_files_have_the_usual_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    with replacing(tmp_path / "a") as beside:
        # as some writers do: a file of their own, for the owner alone
        beside.unlink()
        beside.touch(0o600)
    assert (tmp_path / "a").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("place", ["file/below", "missing/a", "."])
def test_no_place_to_write(tmp_path, place):
    (tmp_path / "file").write_text("")
    path = tmp_path / place
    with pytest.raises(OSError, match="name a f") as caught, replacing(path):
        pytest.fail("the block must not run")
    assert str(path) in str(caught.value)


def test_require_writable(tmp_path):
    (tmp_path / "file").write_text("")
    require_writable(tmp_path)
    require_writable(tmp_path / "new" / "deep")
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(OSError, match="choose another folder"):
        require_writable(tmp_path / "file" / "below")
