"""Words of the bundled questions: finite lists, so that a small vocabulary covers them."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 39, 40),
    "orange": (255, 140, 20),
    "yellow": (247, 220, 40),
    "green": (44, 160, 60),
    "blue": (35, 90, 210),
    "purple": (140, 60, 190),
    "pink": (245, 140, 190),
    "brown": (125, 75, 45),
}
"""Paint, by name."""

PAPERS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 250),
    "cream": (252, 243, 214),
    "grey": (222, 224, 228),
    "mint": (214, 242, 224),
    "sky": (212, 232, 250),
}
"""Backgrounds, by name."""

SHAPES = ("circle", "square", "triangle", "star")

NAMES = (
    "Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hugo", "Ida", "Jon", "Kim", "Leo", "Mia", "Noah",
    "Olga", "Paul", "Rosa", "Sam", "Tara", "Uma", "Vera", "Will", "Yara", "Zoe", "Amir",
    "Bella", "Carl", "Dora",
    "Emil", "Faye", "Gus", "Hana", "Ivan", "Jade", "Kofi", "Lena", "Max", "Nina", "Omar", "Pia",
)  # fmt: skip
"""People who own the pictures; they make questions different without changing what is asked."""
