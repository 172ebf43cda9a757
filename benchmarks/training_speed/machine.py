"""What a benchmark asks the machine: speed of a matrix product, memory, versions [edge]."""

import ctypes
import gc
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def matmul_flops_per_s(device: torch.device) -> float:
    """Return what a large square matrix product reaches: bfloat16 on a GPU, float32 per CPU-second."""
    on_gpu = device.type == "cuda"
    n, repeats = (8192, 20) if on_gpu else (1024, 5)
    dtype = torch.bfloat16 if on_gpu else torch.float32
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    best, clock = 0.0, time.perf_counter if on_gpu else time.process_time
    for _ in range(4):
        wait(device)
        started = clock()
        for _ in range(repeats):
            a @ b
        wait(device)
        best = max(best, 2 * n**3 * repeats / (clock() - started))
    return best


def wait(device: torch.device) -> None:
    """Go on when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def free_memory(device: torch.device) -> None:
    """Give back what is not in use."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if platform.system() == "Linux" else None
    if trim is not None:
        trim(0)


def forget_model(device: torch.device) -> None:
    """Give back the memory of a model that is no longer named; compiled code holds on to its own."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    free_memory(device)


def forget_peak(device: torch.device) -> None:
    """Start counting the peak anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        CLEAR.write_text("5")  # the kernel's peak of resident memory becomes what is resident now


def peak_bytes(device: torch.device) -> int | None:
    """Return the peak since `forget_peak`: the GPU's, or what the process held resident."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if not STATUS.exists():
        return None
    kilobytes = next(line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(kilobytes)


def described(device: torch.device) -> dict[str, str | float | None]:
    """Return hardware and versions."""
    import transformers

    on_gpu = device.type == "cuda"
    facts: dict[str, str | float | None] = {
        "device": torch.cuda.get_device_name(device) if on_gpu else _processor(),
        "device_memory_gib": torch.cuda.mem_get_info(device)[1] / 2**30 if on_gpu else None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "transformers": transformers.__version__,
        "commit": _commit(),
    }
    return facts


def _processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str | None:
    """Return the commit that is checked out, None outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
