"""The words the seeded catalog is made of."""

from dev.seed_words.audio_computers import AUDIO, COMPUTERS
from dev.seed_words.family import BEAUTY, TOYS
from dev.seed_words.fashion import CLOTHING, SHOES
from dev.seed_words.home_garden import GARDEN, HOME
from dev.seed_words.kitchen_pantry import KITCHEN, PANTRY
from dev.seed_words.outdoor_sports import OUTDOOR, SPORTS
from dev.seed_words.smart_office import OFFICE, SMART_HOME

DEPARTMENTS = (
    AUDIO,
    COMPUTERS,
    SMART_HOME,
    OFFICE,
    KITCHEN,
    PANTRY,
    HOME,
    GARDEN,
    OUTDOOR,
    SPORTS,
    CLOTHING,
    SHOES,
    TOYS,
    BEAUTY,
)
