"""The requests that the cost benchmarks send: thousands of different prompts of 50 words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

PROMPT_WORDS = 50
_WORDS = """
the of and to a in is that it for was on with as be at by this have from or had not but what all
were when we there can an your which their said if do will each about how up out them then many
some so these would other into has more her two like him see time could no make than first been
its who now people my made over did down only way find use may water long little very after words
called just where most know get through back much before go good new write our used me man too any
day same right look think also around another came come work three word must because does part
even place well such here take why things help put years different away again off went old number
great tell men say small every found still between name should home big give air line set own
under read last never us left end along while might next sound below saw something thought both
few those always looked show large often together asked house world going want school important
until form food keep children feet land side without boy once animals life enough took four head
above kind began almost live page got earth need far hand high year mother light parts country
father let night following picture being study second eyes soon times story boys since white days
ever paper hard near sentence better best across during today others however sure means knew try
told young miles sun ways thing whole hear example heard several change answer room sea against
top turned learn point city play toward five using himself usually money seen car morning given
order invoice payment refund delivery contract account customer summary translate paragraph email
function variable error database query index server request response python javascript deploy
model dataset training accuracy token prompt classify sentiment review positive negative neutral
""".split()  # noqa: SIM905 - a list of words is read and edited as text
_SYSTEM = "You are a careful assistant. Answer in the language of the question."


def bodies(number: int, seed: int = 0) -> list[Mapping[str, Any]]:
    """Return ``number`` different chat bodies; a quarter each is greedy, short or wants logprobs.

    Word frequencies follow Zipf's law, as in natural language; commas, full stops and capitals
    are there as in typed text.
    """
    rng = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, len(_WORDS) + 1)
    shape = (number, PROMPT_WORDS)
    words = np.array(_WORDS)[rng.choice(len(_WORDS), shape, p=weights / weights.sum())]
    marks = np.array(["", ",", "."])[rng.choice(3, shape, p=(0.85, 0.08, 0.07))]
    traits = rng.random((number, 3)) < 0.25  # noqa: PLR2004 - a quarter
    made: list[Mapping[str, Any]] = []
    for row, mark, (greedy, short, logprobs) in zip(words, marks, traits, strict=True):
        text = " ".join(word + end for word, end in zip(row, mark, strict=True)).capitalize()
        body: dict[str, Any] = {
            "model": "m-1",
            "messages": [
                {"role": "system", "content": _SYSTEM},
                {"role": "user", "content": text + "?"},
            ],
            "temperature": 0 if greedy else 0.7,
            "max_tokens": 16 if short else 256,
        }
        if logprobs:
            body |= {"logprobs": True, "top_logprobs": 5}
        made.append(body)
    return made
