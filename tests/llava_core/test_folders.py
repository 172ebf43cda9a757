import pytest

from llava_core.errors import InputError
from llava_core.folders import check_replaceable


def test_nothing_an_empty_folder_and_ours_may_be_replaced(tmp_path):
    check_replaceable(tmp_path / "new" / "deep", marks=("mark",))
    assert (tmp_path / "new").is_dir()
    (tmp_path / "ours").mkdir()
    check_replaceable(tmp_path / "ours", marks=("mark",))
    (tmp_path / "ours" / "mark").write_text("")
    (tmp_path / "ours" / "other").write_text("")
    check_replaceable(tmp_path / "ours", marks=("mark",))


def test_a_folder_of_others_and_a_file_stay(tmp_path, bundle):
    from llava_core.checkpoint import save_checkpoint

    precious = tmp_path / "theirs" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("precious")
    with pytest.raises(InputError, match="theirs: got a folder that is not ours to replace"):
        save_checkpoint(bundle, precious.parent, stage="x", seen_ids=())
    with pytest.raises(InputError, match=r"precious\.txt: got a file, allowed is a folder"):
        save_checkpoint(bundle, precious, stage="x", seen_ids=())
    with pytest.raises(InputError, match="the folder above cannot be made"):
        check_replaceable(precious / "deep" / "er", marks=())
    assert precious.read_text() == "precious"
