"""Where fits run: threads of this machine, the workers of a Dask cluster, a GPU for XGBoost [edge]."""

from collections.abc import Iterator
from contextlib import contextmanager

from joblib import parallel_config

from llava_core.errors import InputError
from studies.catalog.sharing import check_storage
from studies.spec.ensemble import JOURNAL, EnsembleSpec

DASK_TIMEOUT_S = 15


def check_backends(spec: EnsembleSpec) -> None:
    """Check that the database, the cluster's client and the device that a run asks for are there.

    Raises
    ------
    InputError
        If one is not.
    """
    if spec.storage not in (None, JOURNAL):
        check_storage(str(spec.storage))
    if spec.device == "cuda":
        from xgboost import build_info

        if not build_info()["USE_CUDA"]:
            raise InputError(
                "got cuda, and this build of XGBoost has none; pip install xgboost in place of xgboost-cpu",
                field="device",
            )


@contextmanager
def fitting_on(spec: EnsembleSpec) -> Iterator[None]:
    """Run joblib's parallel fits within the context on the cluster of a run, or in threads without one.

    Raises
    ------
    InputError
        If the scheduler does not answer, or the client is not installed.
    """
    if spec.dask is None:
        yield
        return
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise InputError("needs the extra dask: pip install 'llava-ensembles[dask]'", field="dask") from None
    try:
        client = Client(spec.dask, timeout=DASK_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise InputError(f"got {spec.dask!r}, where no scheduler answers: {error}", field="dask") from None
    with client, parallel_config(backend="dask"):
        yield
