"""What a row is, and ways to see what really happened."""

from dataclasses import dataclass
from typing import Callable


@dataclass
class Work:
    """Something that must go through without a word in the log."""

    group: str
    name: str
    command: str  # for bash, in an empty directory below the workspace
    prints: str = ""  # what must be in the output
    before: str = ""  # for bash, free of Picket, by the person whose machine it is
    fresh: bool = False  # whether it takes the workspace's repository as its person left it
    patience: int = 60  # seconds; in an emulated machine everything takes its time
    # Refusals that ordinary programs meet and live with, as (right, pattern of the subject).
    meets: tuple = ()
    trick: tuple = ()

    @property
    def says(self):
        return self.name


@dataclass
class Misdeed:
    """Something that must be refused, and reported so."""

    group: str
    name: str
    command: str  # for bash; or nothing
    trick: list  # a function of the demo's tricks.py with its arguments; or nothing
    worked: Callable  # what the effect is: takes the place and the output
    refused: tuple  # (right|right, subject) of the event; a subject of None is any
    before: str = ""
    fresh: bool = False
    once: bool = False  # whether it makes exactly one event
    reasoned: bool = False  # whether the event must give a reason
    patience: int = 60

    @property
    def says(self):
        return self.name


# ps asks for the environment of each process of the same user, whatever it is to show.
PS = (("read", r"/proc/\d+/environ"),)


def work(group, name, command, prints="", **more):
    return Work(group, name, command, prints, **more)


def misdeed(group, name, command, worked, refused, **more):
    return Misdeed(group, name, command, [], worked, refused, **more)


def trick(group, name, words, worked, refused, **more):
    return Misdeed(group, name, more.pop("first", ""), words.split(), worked, refused, **more)
