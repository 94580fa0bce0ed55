"""Prompts whose meaning is known: the effect of a text, distilled into a prompt of P rows.

    frame = chat_frame(model)
    task = distillation_task(model, "Always answer in French.", frame, length=8)
    training = train(model, task, distillation_config(text, task))
    ...
    explained(model, task, prompt, text)       # KL, KL₀ and the share explained, held-out contexts
"""

from probe.distillation.answers import distillation_config, distillation_task, distillation_tasks
from probe.distillation.contexts import default_contexts, read_contexts
from probe.distillation.explained import Explained, explained
from probe.distillation.frames import Frame, chat_frame, frame_of

__all__ = [
    "Explained",
    "Frame",
    "chat_frame",
    "default_contexts",
    "distillation_config",
    "distillation_task",
    "distillation_tasks",
    "explained",
    "frame_of",
    "read_contexts",
]
