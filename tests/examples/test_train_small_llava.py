import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from llava_core.features.store import FeatureStore

RunExample = Callable[..., subprocess.CompletedProcess[str]]


def test_each_stage_does_its_part(run_example: RunExample, tmp_path: Path) -> None:
    out = tmp_path / "small_llava"
    printed = run_example("train_small_llava.py", "--out", out).stdout

    losses = re.findall(
        r"^(\w+) +\d+ steps, loss (\d\.\d+) at first, (\d\.\d+) at last", printed, re.MULTILINE
    )
    assert [stage for stage, *_ in losses] == ["align", "finetune"]
    assert all(float(last) < 0.5 * float(first) for _, first, last in losses)

    (chance,) = re.findall(r"chance (\d\.\d+)", printed)
    told = re.findall(r"^after (\w+) +(\d\.\d+) \[(\d\.\d+), (\d\.\d+)\]", printed, re.MULTILINE)
    after = {stage: (float(low), float(value), float(high)) for stage, value, low, high in told}
    # Captions teach the projector no answers; questions do.
    assert after["align"][0] < float(chance) < after["align"][2]
    assert after["finetune"][0] > after["align"][2]

    assert re.search(r"^caption: +\S.*\ndescription: +\S", printed, re.MULTILINE)
    (said, right) = re.findall(r"^llava: (.+?) +\(right is (.+)\)$", printed, re.MULTILINE)[0]
    assert said
    assert right

    store = FeatureStore.open(out / "features")
    assert {"clip_image", "projector", "projector_align", "llm_hidden"} <= set(store.blocks)
    for name, block in store.blocks.items():
        shape = " x ".join(map(str, block.shape))
        assert re.search(rf"^{name} +per {block.level} +{re.escape(shape)}$", printed, re.MULTILINE)
