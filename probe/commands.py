"""Every command once: the verb that does it, what prints what was found, and whether it writes.

From here come the functions of `probe`, the commands of `probe` in a terminal, and the tools of
`probe mcp`. All is named and nothing imported, so that a list of commands costs nothing.
"""

from __future__ import annotations

import importlib
from pkgutil import resolve_name
from typing import Any, Literal, NamedTuple


class Command(NamedTuple):
    """One command, and the function of `probe` that does the same."""

    name: str
    """As it is typed; a command of a group stands behind the group's name."""
    verb: str = ""
    """The module of `probe.verbs` with the function, and its request in `probe.requests`; empty of
    servers and groups."""
    tool: Literal["reads", "writes"] | None = None
    """As what an agent may use it; None: not at all, or as a list."""
    made: str = ""
    """`module:name` in `probe.cli` of the command, where it does more than ask, show and draw."""
    shows: str = ""
    """`module:function` in `probe.cli` that prints what the verb found."""
    facts: str = ""
    """Likewise, what is told of the plan of a study; of studies alone."""
    watched: tuple[str, str] | None = None
    """The field that is called with every update, and `module:function` of such one in words."""
    figures: bool = False
    """Whether it has `--html`."""
    refuses: bool = False
    """Whether the verb refuses values by ValueError, which is wrong usage then."""

    @property
    def function(self) -> str:
        """The name of the function: `knock_out`."""
        return self.name.replace("-", "_").replace(" ", "_")

    @property
    def request(self) -> str:
        """The name of what the function is asked: `KnockOutRequest`."""
        return f"{self.function.title().replace('_', '')}Request"

    @property
    def module(self) -> Any:
        """The module with the function."""
        return importlib.import_module(f"probe.verbs.{self.verb}")


def in_cli(place: str) -> Any:
    """What `module:name` is in `probe.cli`."""
    return resolve_name(f"probe.cli.{place}")


# fmt: off
COMMANDS = (
    Command("inspect", "loading", "reads", made="inspection:inspect_prompts"),
    Command("decode", "decoding", "reads", made="decode:decode"),
    Command("read", "reading", "reads", made="reading:read"),
    Command("find", "finding", "reads", shows="comparison:print_found", refuses=True),
    Command("compare", "comparing", "reads", shows="comparison:print_comparison", refuses=True),
    Command("clusters", "comparing", "reads", shows="comparison:print_clusters", refuses=True),
    Command("map", "comparing", "reads", shows="comparison:print_map",
            figures=True, refuses=True),
    Command("convert", "loading", "writes", made="inspection:convert"),
    Command("push", "publishing", made="library:push"),
    Command("pull", "publishing", shows="library:print_rows"),
    Command("train", "training", "writes", made="runs:train"),
    Command("distill", "distilling", "writes", shows="reading:print_distilled",
            watched=("on_step", "reading:step_of_distillation")),
    Command("cram", "cramming", "writes", shows="reading:print_crammed",
            watched=("on_look", "reading:look_at_text"), figures=True),
    Command("evaluate", "evaluating", "reads", made="evaluation:evaluate"),
    Command("predict", "predicting", "reads", made="evaluation:predict"),
    Command("generate", "predicting", "reads", made="evaluation:generate"),
    Command("sweep", "studies", "writes", shows="sweep:print_sweep", facts="sweep:sweep_facts"),
    Command("wayward", "waywardness", "writes", shows="wayward:print_waywardness",
            facts="wayward:wayward_facts"),
    Command("transfer", "transferring", "reads", shows="comparison:print_transfer",
            figures=True, refuses=True),
    Command("ablate", "ablating", "reads", shows="insides:print_ablation", figures=True),
    Command("knock-out", "knocking_out", "reads", shows="insides:print_knocked_out",
            figures=True),
    Command("prune", "pruning", "writes", shows="insides:print_pruned",
            watched=("on_step", "insides:step_of_pruning"), figures=True),
    Command("lens", "layers", "reads", shows="insides:print_lens", figures=True, refuses=True),
    Command("report", "reporting", "writes", shows="asking:print_lines", refuses=True),
    Command("bench", made="bench:app"),
    Command("bench readings", "benching", shows="bench:print_rates", facts="bench:rates_facts"),
    Command("runs", "training", made="runs:app"),
    Command("library", "prompt_library", made="library:app"),
    Command("doctor", "health", made="doctor:doctor"),
    Command("app", made="dashboard:dashboard"),
    Command("demo", made="demo:demo"),
    Command("mcp", made="mcp:mcp"),
)
# fmt: on

FUNCTIONS = {one.function: f"probe.verbs.{one.verb}" for one in COMMANDS if one.verb} | {
    "load": "probe.verbs.loading",
    "load_vocabulary": "probe.tables",
}
"""The functions of `probe` by name, and the modules that they are in."""
