"""Keys and passwords: texts that tell none of them.

They are read from environment variables and stand in no file that we write. An address may hold one too:
settings that would be written down refuse it (`tells_secret`), and whatever is shown goes through
`without_secrets`, should a server or a library have repeated one.
"""

import os
import re

VARIABLES = ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "PGPASSWORD")
"""Environment variables whose values are told nowhere."""
HIDDEN = "***"
_SHORTEST = 6
"""Characters of a value that is looked for in texts; shorter ones are parts of words."""
_USER = re.compile(r"(?<=://)[^\s/@]*:\S*(?=@)")
_FIELD = re.compile(
    r"([?&][^=&\s]*(?:password|passwd|pwd|key|token|secret)[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE
)


def tells_secret(address: str) -> bool:
    """Whether an address holds a password or key.

    Examples
    --------
    >>> tells_secret("postgresql://me@host/db"), tells_secret("postgresql://me:secret@host/db")
    (False, True)
    >>> tells_secret("http://host:8000/v1"), tells_secret("http://host/v1?api-key=secret")
    (False, True)
    """
    return bool(_USER.search(address) or _FIELD.search(address))


def without_secrets(text: str) -> str:
    """Return a text with the passwords and keys of its addresses, and the values of `VARIABLES`, hidden.

    Examples
    --------
    >>> without_secrets("no connection: postgresql://me:secret@host/db?password=secret&timeout=1")
    'no connection: postgresql://***@host/db?password=***&timeout=1'
    """
    for name in VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    return _FIELD.sub(rf"\1{HIDDEN}", _USER.sub(HIDDEN, text))
