import pytest
from PIL import Image, ImageDraw

from tests.studies.report.made_report import build_compared, build_summary


@pytest.fixture
def summary():
    return build_summary()


@pytest.fixture
def compared(summary):
    return build_compared(summary)


@pytest.fixture(scope="session")
def image_root(tmp_path_factory):
    """Folder with the pictures that the summary's examples name."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "images" / "test").mkdir(parents=True)
    for index in range(12):
        picture = Image.new("RGB", (240, 180), (250, 250, 245))
        draw = ImageDraw.Draw(picture)
        draw.rectangle((30, 60, 105, 110), fill=(190, 60 + 10 * index, 50), outline="black", width=2)
        draw.rectangle((135, 60, 210, 110), fill=(50, 90, 190), outline="black", width=2)
        picture.save(root / "images" / "test" / f"{index}.png")
    return root
