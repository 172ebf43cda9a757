"""Design matrix: from examples (and stored features, and published answers) to fold-honest numbers."""

from studies.design.encoder import BLOCKS, DesignEncoder
from studies.design.table import OptionTable, option_table, without_families

__all__ = ["BLOCKS", "DesignEncoder", "OptionTable", "option_table", "without_families"]
