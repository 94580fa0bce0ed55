"""Prompts whose meaning is known: the effect of a text, distilled into a prompt of P rows.

`distillation_tasks` samples answers once from the model that reads the text, `distillation_config`
makes their distribution the training's objective, and `explained` says on held-out contexts how
much of the text's effect a prompt, or another text, has.
"""

from probe.distillation.answers import distillation_config, distillation_tasks
from probe.distillation.contexts import default_contexts, read_contexts
from probe.distillation.explained import Explained, explained
from probe.distillation.frames import Frame, chat_frame, frame_of
