"""All skills by name: the image skills first, then the text skills."""

from collections.abc import Mapping

from llava_core.data.mini.skill import Skill
from llava_core.data.mini.skills import charts, facts, forces, language, life, matter, objects

SKILLS: Mapping[str, Skill] = {
    "magnets": forces.MAGNETS,
    "magnet_force": forces.MAGNET_FORCE,
    "balance": forces.BALANCE,
    "solutions": matter.SOLUTIONS,
    "thermometer": matter.THERMOMETER,
    "particles": matter.PARTICLES,
    "punnett": life.PUNNETT,
    "food_chain": life.FOOD_CHAIN,
    "common_property": objects.COMMON_PROPERTY,
    "counting": objects.COUNTING,
    "bar_chart": charts.BAR_CHART,
    "map_directions": charts.MAP_DIRECTIONS,
    "circuits": charts.CIRCUITS,
    "moon_phases": charts.MOON_PHASES,
    "capitals": facts.CAPITAL,
    "animal_kinds": facts.ANIMAL_KIND,
    "states_of_matter": facts.STATE_OF_MATTER,
    "length_units": facts.LENGTH_UNIT,
    "passage_amounts": language.PASSAGE,
    "passage_details": language.WHO_WEARS,
    "rhymes": language.RHYME,
    "sentence_kinds": language.SENTENCE_KIND,
    "oldest_youngest": language.WHO_IS_OLDER,
    "alphabet": language.ALPHABET,
}

IMAGE_SKILLS = tuple(name for name, skill in SKILLS.items() if skill.draw is not None)
FACT_SKILLS = tuple(name for name, skill in SKILLS.items() if skill.is_fact)
RULE_SKILLS = tuple(name for name, skill in SKILLS.items() if skill.draw is None and not skill.is_fact)
