"""COCO and JSON lines against boxes computed by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llava_core.errors import InputError
from llava_core.instructions.scene import Instance, Scene, Scenes, normalised_box, scene_text
from llava_core.instructions.scene_files import read_coco, read_scene_lines

WriteCoco = Callable[..., tuple[Path, Path]]


def test_boxes_in_pixels_become_shares_worked_out_by_hand(write_coco: WriteCoco) -> None:
    found = read_coco(*write_coco())
    # Left 1.08 of 640, top 187.69 of 480, right 612.67 of 640, bottom 473.53 of 480.
    fruit = Instance(category="bowl", box=(0.002, 0.391, 0.957, 0.987))
    assert found.scenes[0] == Scene(
        id="000000000009",
        image="COCO_val2014_000000000009.jpg",
        captions=("Fruit in boxes.",),
        instances=(fruit,),
    )
    # Left 20 of 200, top 30 of 300, right 120, bottom 270; then the crowd, in the order of the file.
    assert found.scenes[1].instances == (
        Instance(category="giraffe", box=(0.1, 0.1, 0.6, 0.9)),
        Instance(category="bowl", box=(0.0, 0.0, 1.0, 1.0)),
    )
    assert found.scenes[1].captions == ("A giraffe under a tree.", "A tall animal.")
    assert found.counted == {}
    assert found.scenes.n_boxes == 3


def test_text_of_a_scene_is_captions_a_blank_line_and_boxes(write_coco: WriteCoco) -> None:
    scene = read_coco(*write_coco()).scenes[1]
    assert scene_text(scene, boxes=True) == (
        "A giraffe under a tree.\nA tall animal.\n\ngiraffe: [0.1, 0.1, 0.6, 0.9]\nbowl: [0.0, 0.0, 1.0, 1.0]"
    )
    assert scene_text(scene, boxes=False) == "A giraffe under a tree.\nA tall animal."
    assert scene_text(scene, boxes=True, max_boxes=1).splitlines()[3:] == ["bowl: [0.0, 0.0, 1.0, 1.0]"]


def test_published_lines_are_written_as_they_stand(llava_bench_dir: Path) -> None:
    path = llava_bench_dir / "caps_boxes_coco2014_val_80.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    scenes = read_scene_lines(path).scenes
    assert len(scenes) == len(rows) == 80
    for row, scene in zip(rows, scenes, strict=True):
        lines = [f"{each['category']}: {each['bbox']}" for each in row["instances"]]
        captions = [" ".join(caption.split()) for caption in row["captions"]]
        assert scene_text(scene, boxes=True) == "\n".join([*captions, *(["", *lines] if lines else [])])


@pytest.mark.parametrize(
    ("box", "size", "shares"),
    [
        ((-5, -5, 20, 20), (100, 50), (0.0, 0.0, 0.15, 0.3)),
        ((90, 40, 20, 20), (100, 50), (0.9, 0.8, 1.0, 1.0)),
        ((100, 0, 5, 5), (100, 50), None),
        ((10, 10, 0, 5), (100, 50), None),
        ((10, 10, -5, 5), (100, 50), None),
        ((1 / 3, 0, 1 / 3, 1), (1, 1), (0.333, 0.0, 0.667, 1.0)),
    ],
)
def test_boxes_are_cut_to_their_image(box: tuple[float, ...], size: tuple[int, int], shares: Any) -> None:
    assert normalised_box(*box, size=size) == shares


def test_what_is_passed_over_is_counted(write_coco: WriteCoco) -> None:
    boxes = [
        {"image_id": 9, "category_id": 3, "bbox": [-20, 0, 100, 100]},
        {"image_id": 9, "category_id": 3, "bbox": [0, 0, 640.4, 480]},
        {"image_id": 9, "category_id": 3, "bbox": [700, 0, 10, 10]},
        {"image_id": 77, "category_id": 3, "bbox": [0, 0, 10, 10]},
        {"image_id": 9, "category_id": 3, "bbox": [0, 0, 10, 10], "iscrowd": 1},
    ]
    images = [
        {"id": 9, "file_name": "9.jpg", "width": 640, "height": 480},
        {"id": 77, "file_name": "77.jpg", "width": 640, "height": 480},
    ]
    captions = [{"image_id": 9, "caption": "A."}, {"image_id": 9, "caption": " \n"}]
    paths = write_coco(annotations=boxes, captions_images=images, captions_annotations=captions)
    found = read_coco(*paths, crowds=False)
    assert found.counted == {
        "empty captions passed over": 1,
        "images without captions passed over": 1,
        "boxes of images without captions passed over": 1,
        "boxes outside their image or without extent passed over": 1,
        "boxes around crowds passed over": 1,
        "boxes cut to their image": 1,
    }
    assert [instance.box for instance in found.scenes[0].instances] == [
        (0.0, 0.0, 0.125, 0.208),
        (0.0, 0.0, 1.0, 1.0),
    ]


def test_captions_alone_give_scenes_without_boxes(write_coco: WriteCoco) -> None:
    captions, _ = write_coco(
        captions_images=[{"id": 9, "file_name": "9.jpg"}, {"id": 25, "file_name": "25.jpg"}]
    )
    assert [scene.instances for scene in read_coco(captions, None).scenes] == [(), ()]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"categories": []}, "annotations 1 (image 25), field category_id: got 7"),
        (
            {
                "captions_images": [{"id": 9, "file_name": "9.jpg"}, {"id": 25, "file_name": "b"}],
                "images": [],
            },
            "annotations 1 (image 25), field image_id: got 25, whose width and height",
        ),
        ({"captions_images": []}, "got a caption of image 25, which images does not list"),
        ({"captions_annotations": []}, "holds no captioned images"),
        (
            {"captions_annotations": [{"image_id": 9, "caption": 4}]},
            "record annotations 1 (image 9), field caption: got 4, allowed is text",
        ),
        ({"annotations": [{"image_id": "9"}]}, "record annotations 1, field image_id: got '9'"),
        (
            {"annotations": [{"image_id": 9, "category_id": 3, "bbox": [0, 0, 1]}]},
            "record annotations 1, field bbox: got a list, allowed are four numbers",
        ),
        (
            {"annotations": [{"image_id": 9, "category_id": 3, "bbox": [0, 0, float("nan"), 1]}]},
            "field bbox",
        ),
        ({"images": [{"id": 9, "width": 0, "height": 4}]}, "images 1 (id 9), field width, height: got 0 x 4"),
        ({"images": [{"id": 9, "width": 5}]}, "images 1 (id 9), field height: got nothing"),
    ],
)
def test_faults_of_coco_are_named(write_coco: WriteCoco, members: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_coco(*write_coco(**members))
    assert problem in str(caught.value)


GOOD = {"id": "1", "image": "1.jpg", "captions": ["A dog."]}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (GOOD | {"captions": []}, "record 2 (id 1), field captions: got no caption"),
        (GOOD | {"captions": [" "]}, "field captions"),
        (GOOD | {"captions": "A dog."}, "field captions: got 'A dog.', allowed is a list"),
        (GOOD | {"image": ""}, "field image: got no words"),
        (GOOD | {"id": None}, "record 2, field id: got null"),
        (GOOD | {"id": "0"}, "field id: got '0' a second time"),
        (
            GOOD | {"instances": [{"category": "dog", "bbox": [0, 0, 1.2, 1]}]},
            "instances[0].bbox: got [0.0, 0.0, 1.2",
        ),
        (GOOD | {"instances": [{"category": "dog", "bbox": [0.5, 0, 0.4, 1]}]}, "instances[0].bbox"),
        (GOOD | {"instances": [{"bbox": [0, 0, 1, 1]}]}, "instances[0].category: got nothing"),
        (GOOD | {"instances": ["dog"]}, "instances[0]: got a text"),
    ],
)
def test_faults_of_lines_are_named(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    path = tmp_path / "scenes.jsonl"
    path.write_text(json.dumps(GOOD | {"id": 0}) + "\n" + json.dumps(row))
    with pytest.raises(InputError) as caught:
        read_scene_lines(path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


@pytest.mark.parametrize(("name", "content"), [("s.json", "[]"), ("s.jsonl", "\n")])
def test_a_file_without_scenes_is_told(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match="holds no "):
        read_scene_lines(path)


def test_boxes_added_in_any_order_come_back_with_their_scene() -> None:
    scenes = Scenes()
    for n in range(3):
        scenes.add_scene(str(n), f"{n}.jpg", ("A.",))
    for n in (2, 0, 2, 2):
        scenes.add_box(n, f"thing {scenes.n_boxes}", (0.0, 0.0, 0.5, 1.0))
    assert [[each.category for each in scene.instances] for scene in scenes] == [
        ["thing 1"],
        [],
        ["thing 0", "thing 2", "thing 3"],
    ]
    with pytest.raises(IndexError):
        scenes[3]
