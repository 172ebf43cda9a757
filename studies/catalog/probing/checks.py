"""The leakage audit of a probing run: what would make a good score mean nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studies.catalog.audit import UNKNOWN_SEEN, Check
from studies.catalog.probing.ground import Ground
from studies.catalog.probing.material import Material


def leaks(material: Material, grounds: Sequence[Ground], *, split: str) -> list[Check]:
    """Check what is learned from and what is scored.

    Parameters
    ----------
    material : Material
    grounds : sequence of Ground
    split : str
        ``family`` or ``random``; in the random one families straddle on purpose, which is reported.
    """
    checks = [_seen(material, grounds)] if material.unit == "questions" else []
    straddling = max(_n_straddling(ground.families, ground) for ground in grounds)
    checks.append(
        Check(
            name="scored items whose family is learned from",
            status="reported" if straddling and split == "random" else "fail" if straddling else "pass",
            found=straddling,
            detail="the random split lets families straddle" if straddling else "",
        )
    )
    twins = {
        info.name: _n_straddling(_codes(info.stage.vectors), ground)
        for ground in grounds
        for info in ground.stages
        if info.stage.level == "example"
    }
    if twins:
        most = max(twins, key=lambda name: twins[name])
        checks.append(
            Check(
                name="scored items whose vector is learned from",
                status="reported" if twins[most] else "pass",
                found=twins[most],
                detail=f"equal to the last bit at {most}" if twins[most] else "",
            )
        )
    return checks


def _seen(material: Material, grounds: Sequence[Ground]) -> Check:
    if material.seen is None:
        return UNKNOWN_SEEN
    used = np.unique(np.concatenate([ground.items[[*ground.train, *ground.test]] for ground in grounds]))
    found = used[material.seen[used]]
    return Check(
        name="questions that LLaVA was trained on",
        status="fail" if len(found) else "pass",
        found=len(found),
        detail=f"first {material.ids[found[0]]}" if len(found) else "",
    )


def _n_straddling(codes: NDArray[np.int64], ground: Ground) -> int:
    """Return the number of scored items that share their code with one that is learned from."""
    return int(np.isin(codes[ground.test], codes[ground.train]).sum())


def _codes(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return a number for each different vector, (n_items,)."""
    return np.asarray(np.unique(vectors, axis=0, return_inverse=True)[1].ravel(), dtype=np.int64)
