"""Chance: everything that is drawn comes from one seed, so that a seed is a scenario."""

import random

# Counts up when the generator changes: a seed then makes another scenario.
VERSION = 10


class Dice:
    """Draws. A part of the generator, which is made of several of these classes."""

    def __init__(self, seed):
        self.seed = seed
        self.random = random.Random(f"outpost-{VERSION}-{seed}")
        # Words that say what a scenario is about.
        self.tags = []

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, choices):
        return self.random.choice(choices)

    def number(self, low, high):
        return self.random.randint(low, high)

    def some(self, choices, low=0, high=None):
        """Several of the choices, each once, in any order."""
        choices = list(choices)
        most = min(len(choices), len(choices) if high is None else high)
        return self.random.sample(choices, self.random.randint(low, most))

    def weigh(self, pairs):
        """One of (choice, weight) pairs."""
        rest = self.random.random() * sum(weight for _, weight in pairs)
        for choice, weight in pairs:
            rest -= weight
            if rest < 0:
                return choice
        return pairs[-1][0]
