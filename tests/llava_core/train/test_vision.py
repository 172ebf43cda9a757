from threading import Thread

import pytest
import torch

from llava_core.data.images import load_pixels
from llava_core.errors import InputError
from llava_core.train import vision as module
from llava_core.train.processes import Place
from llava_core.train.vision import keep_in_memory, open_vision

HERE = Place(rank=0, world=1, device=torch.device("cpu"))


@pytest.fixture
def images(drawn, monkeypatch):
    monkeypatch.setattr(module, "IMAGES_PER_PART", 10)
    return [example.image for example in drawn if example.image is not None]


@pytest.mark.parametrize("keeping", ["memory", "disk", "live"])
def test_every_source_gives_the_features_of_a_fresh_pass(bundle, images, tmp_path, keeping):
    vision = open_vision(bundle, images, keeping=keeping, folder=tmp_path, here=HERE)
    wanted = [images[17], images[3], images[17]]
    fresh = bundle.model.vision_features(load_pixels(wanted, bundle.image_processor))
    torch.testing.assert_close(vision.features(vision.fetch(wanted)), fresh)
    assert vision.features(vision.fetch([])).shape == (0, *fresh.shape[1:])


def test_features_do_not_depend_on_the_batch(bundle, images):
    whole, small = keep_in_memory(bundle, images), keep_in_memory(bundle, images, batch_size=5)
    for image in images:
        torch.testing.assert_close(whole[image], small[image])


def test_a_killed_fill_goes_on_with_the_next_part(bundle, images, tmp_path, monkeypatch):
    filled = []
    pass_ = keep_in_memory

    def watched(bundle, part):
        if len(filled) == 2:
            raise KeyboardInterrupt
        filled.append(list(part))
        return pass_(bundle, part)

    monkeypatch.setattr(module, "keep_in_memory", watched)
    with pytest.raises(KeyboardInterrupt):
        open_vision(bundle, images, keeping="disk", folder=tmp_path, here=HERE)
    monkeypatch.setattr(module, "keep_in_memory", lambda b, part: filled.append(list(part)) or pass_(b, part))
    vision = open_vision(bundle, images, keeping="disk", folder=tmp_path, here=HERE)
    assert filled == [images[:10], images[10:20], images[20:]]
    torch.testing.assert_close(vision.fetch(images), torch.stack(list(pass_(bundle, images).values())))


def test_trainings_that_write_the_same_part_at_once_do_not_disturb_each_other(tmp_path):
    part, errors = tmp_path / "features-00000.safetensors", []

    def write():
        try:
            for _ in range(50):
                module._write_part(part, torch.ones(3, 2, 2))
                part.unlink(missing_ok=True)
        except OSError as error:
            errors.append(error)

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_training_that_was_killed_after_a_part_is_removed(bundle, images, tmp_path):
    open_vision(bundle, images, keeping="disk", folder=tmp_path, here=HERE)
    (folder,) = tmp_path.iterdir()
    lock = folder / ".features-00000.safetensors.lock"
    lock.touch()
    open_vision(bundle, images, keeping="disk", folder=tmp_path, here=HERE)
    assert not lock.exists()


def test_processes_share_the_parts(bundle, images, tmp_path):
    for rank in range(2):
        alone = type("Alone", (), {"rank": rank, "world": 2, "wait": lambda self: None})()
        open_vision(bundle, images, keeping="disk", folder=tmp_path, here=alone)
        (folder,) = tmp_path.iterdir()
        assert len(list(folder.iterdir())) == (2, 3)[rank]


def test_other_weights_or_changed_images_have_a_folder_of_their_own(bundle, images, tmp_path):
    for _ in range(2):
        open_vision(bundle, images, keeping="disk", folder=tmp_path, here=HERE)
        assert len(list(tmp_path.iterdir())) == 1
    with torch.no_grad():
        bundle.model.vision_tower.embeddings.class_embedding += 1
    open_vision(bundle, images, keeping="disk", folder=tmp_path, here=HERE)
    open_vision(bundle, images[1:], keeping="disk", folder=tmp_path, here=HERE)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_broken_image_is_named(bundle, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken\.png"):
        open_vision(bundle, [path], keeping="memory", folder=tmp_path, here=HERE)
