"""What a log itself says of state that was not restored: Keras, TensorFlow, torch, transformers.

None of it is an error to whoever prints it: the program goes on with state that it has made up.
"""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle

NEEDLES: tuple[Needle, ...] = (
    rb"Unresolved object in checkpoint|not all checkpointed values were used",
    rb"unrestored values|could not be found in the restored object",
    rb"(?i:optimi[sz]er)[^\n]{0,120}(?i:load|restor|initiali[sz]ed|found|state|scratch)",
    rb"(?i:load|restor|resum|initiali[sz])[^\n]{0,120}(?i:optimi[sz]er)",
    rb"(?i:skipp(?:ed|ing)[^\n]{0,20} (?:loading|restor|weights|layer|variable|param))",
    rb"(?i:(?:missing|unexpected|mismatched|unmatched|unused)[_ ]key)",
    rb"newly initiali[sz]ed|were not used when initiali[sz]ing|not initiali[sz]ed from the model",
    rb"objects? could not be loaded|missing in (?:the )?checkpoint|not (?:found"
    rb"|available) in (?:the )?checkpoint",
    rb"incompatible shape|size mismatch for |shape mismatch",
    rb"(?i:from scratch|no checkpoints? (?:was |were )?found|checkpoint[^\n]{0,60} not found)",
    rb"(?i:ignor\w+ [^\n]{0,40}(?:checkpoint|optimi[sz]er state|weights))",
    rb"(?i:random(?:ly)? initiali[sz]|optimi[sz]er[^\n]{0,20}reset|resetting[^\n]{0,20} optimi)",
    rb"Inconsistent references when loading|find an (?:optimi[sz]er|RNG)|=> no checkpoint found at",
    rb"(?i:without|fresh|checkpoint)[^\n]{0,30} optimi[sz]er|contains only the model|only weights",
    rb"(?:was|were|been|is|are) not restored|keys that are (?:not )?in the model|from random",
    rb"missing adapter keys|find the metadata file|not (?:found|available"
    rb"|present) in (?:the )?checkpoint|re-?initiali",
    rb"from the model checkpoint at [^\n]* were not used|keys are not loaded from"
    rb"|Checkpoint is missing|No training configuration found",
)
_LOST = re.compile(
    rb"Unresolved object in checkpoint|not all checkpointed values were used"
    rb"|with unrestored values|could not be found in the restored object"
    rb"|(?i:(?:error|fail\w*|problem) (?:in |while |to |when )?(?:load"
    rb"|restor)\w* [^\n]{0,60}optimi[sz]er)"
    rb"|(?i:freshly[ -]initiali[sz]ed|optimi[sz]er[^\n]{0,40}(?:re-?initiali[sz]ed|from scratch))"
    rb"|(?i:skip\w* (?:the )?(?:loading|restor\w+)\b)"
    rb"|(?i:skip\w* (?:the )?(?:layer|variable|param\w*|weights?|optimi[sz]er)\b[^\n]{0,80}"
    rb"(?:load|restor|mismatch|checkpoint|shape))"
    rb"|(?i:(?:could|can|did|was|were|is|are|has|have)(?: ?not|n'?t)(?: been| be)? (?:load"
    rb"|restor)\w*"
    rb" [^\n]{0,60}optimi[sz]er)"
    rb"|(?i:(?:unable to|not|cannot|without) (?:load|restor|resum)\w* [^\n]{0,40}optimi[sz]er)"
    rb"|(?i:optimi[sz]er(?:'s|s)?(?: states?| weights| variables| slots?)? [^\n]{0,40}"
    rb"(?:not|n't|never|cannot|fail\w*)\b[^\n]{0,30}(?:load|restor|found|saved|resum))"
    rb"|(?i:no (?:saved )?optimi[sz]er(?: states?| weights)? (?:was |were |is )?"
    rb"(?:found|loaded|restored|available|in ))"
    rb"|(?i:(?:ignor\w+|dropp\w+|discard\w+) (?:the )?(?:saved )?optimi[sz]er)"
    rb"|(?i:(?:missing|unexpected|mismatched|unmatched|unused)[_ ]key(?:s|\(s\))?"
    rb"(?: in [\w ]{0,40})?['\"]?\s?[:=]\s?(?![\[({]\s?[\])}]|None\b|0\b|set\(\)|\s*$)\S)"
    rb"|(?i:found (?:\d+ )?(?:missing|unexpected|mismatched) (?:adapter )?keys?)"
    rb"|Inconsistent references when loading the checkpoint"
    rb"|(?i:optimi[sz]er(?: states?)?(?: was| is| has been)? reset\b)"
    rb"|(?i:resetting (?:the )?optimi[sz]er)"
    rb"|newly initiali[sz]ed|(?:weights|layers) [^\n]{0,200}were not used when initiali[sz]ing"
    rb"|not initiali[sz]ed from the model checkpoint"
    rb"|objects? could not be loaded|\bmissing in (?:the )?checkpoint"
    rb"|(?i:(?:variable|key|tensor|param\w*|weights?|layer|item|state|optimi[sz]er"
    rb"|buffer)\b[^\n]{0,120}not (?:found"
    rb"|available|present)"
    rb" in (?:the )?checkpoint)"
    rb"|(?i:checkpoint[^\n]{0,120}incompatible shape|incompatible shape[^\n]{0,120}checkpoint)"
    rb"|\bsize mismatch for \S+: copying"
    rb"|(?i:no checkpoints? (?:was |were )?found|checkpoint[^\n]{0,60} not found"
    rb"|not find[^\n]{0,30} checkpoint)"
    rb"[^\n]{0,60}(?i:scratch|random|start|initial)"
    rb"|(?i:(?:training|starting|start|beginning)(?: over)? from scratch)"
    rb"|(?i:weights? (?:is|are|was|were)? ?(?:left )?randomly initiali[sz]ed)"
    rb"|(?i:\b(?:a|with) fresh optimi[sz]er|\bwithout (?:the |its |any |saved )?optimi[sz]er"
    rb"(?: states?)?\b(?!_))"
    rb"|(?i:(?:did ?n[o']t|could ?n[o']t|unable to|cannot) (?:find|locate) (?:an? |the |any )?"
    rb"(?:optimi[sz]er|scheduler|RNG))"
    rb"|(?i:(?:optimi[sz]er(?:'s|s)? (?:states?|weights|variables|slots?)"
    rb"|checkpoint'?s? optimi[sz]er)"
    rb"\b[^\n]{0,60}\b(?:ignored|dropped|discarded|skipped))"
    rb"|(?i:(?:was|were|been|is|are) not restored\b|re-?initiali[sz](?:ed"
    rb"|ing) (?:the )?optimi[sz]er)"
    rb"|Found keys that are (?:not )?in the model state dict|will start from random\b"
    rb"|could not find the metadata file"  # Megatron
    rb"|(?i:checkpoint contains only (?:the )?(?:model|weights))"
    rb"|keys are not loaded from the original tree|Checkpoint is missing (?:variable|key|tensor)"
    rb"|No training configuration found in (?:the )?save file|=> no checkpoint found at '"
)
# Told of what a run was asked for, not of what it lost.
_ASKED = re.compile(rb"(?i:\bif\b[^\n]{0,60}$|\bwould\b|set [^\n]{0,40}to )")


def lost(line: bytes) -> re.Match[bytes] | None:
    """What in a line says that saved state was not restored."""
    match = _LOST.search(line, 0, 1 << 14)
    return None if match is None or _ASKED.search(line, 0, match.start()) else match
