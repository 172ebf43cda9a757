"""The `llava` command, as ``python -m llava_core.cli`` [edge]."""

from llava_core.cli import main

if __name__ == "__main__":
    main()
