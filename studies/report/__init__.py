"""From a finished run to pages people read."""
