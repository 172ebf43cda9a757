"""Data sets and pictures, read to the end."""

from pathlib import Path

from tests.fuzz import corpus

# Data sets ------------------------------------------------------------------------------------------------


def dataset(name: str, folder: Path) -> object:
    """Read a data set; nothing of the official layouts may lie outside its folder."""
    from llava_core.data.load import load_dataset

    dataset = load_dataset(folder / name)
    for example in dataset.examples:
        assert example.question.encode() is not None
        assert len(example.options) >= 2
        assert example.answer is None or 0 <= example.answer < len(example.options)
        if name == "." and example.image is not None:
            inside = (folder, folder.parent / "cache")
            assert any(Path(example.image.absolute()).is_relative_to(place) for place in inside)
            assert ".." not in example.image.parts
    return dataset


def load_conversations(folder: Path) -> object:
    from llava_core.data.llava_json import load_conversations

    return list(load_conversations(folder / "chat.jsonl", folder).conversations)


# Pictures -------------------------------------------------------------------------------------------------


def all_pictures(folder: Path) -> None:
    kinds = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "TIFF": "tif", "BMP": "bmp", "WEBP": "webp"}
    for kind, suffix in kinds.items():
        (folder / f"a.{suffix}").write_bytes(corpus.picture(kind=kind.lower()))


def read_pictures(folder: Path) -> object:
    from llava_core.inference.image_source import open_image

    images = [open_image(file) for file in sorted(folder.iterdir())]
    assert all(image.mode == "RGB" and min(image.size) > 0 for image in images)
    return images


def check_pictures(folder: Path) -> object:
    """Check the images of open questions; what passes has to be decoded as well."""
    from llava_core.data.images import read_image
    from llava_core.inference.questions import check_images, folder_questions

    questions = folder_questions(folder, "What is it?")
    check_images(questions)
    return [read_image(Path(source)) for question in questions for source in question.sources]


def data_address(folder: Path) -> object:
    from llava_core.inference.image_source import open_image

    address = (folder / "address.txt").read_bytes().decode("utf-8", "surrogateescape")
    return open_image(address) if address.startswith("data:") else None


def one_address(folder: Path) -> None:
    import base64

    body = base64.b64encode(corpus.picture()).decode()
    (folder / "address.txt").write_text(f"data:image/png;base64,{body}")
