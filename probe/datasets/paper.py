"""The five classification tasks of Khashabi et al. 2021 (arXiv:2112.08348, "Prompt Waywardness").

Templates and label words are those of the paper's published code, `util.py: get_prompts` in
github.com/Alrope123/prompt-waywardness at 5325050, which has them from Min et al. 2021
(arXiv:2108.04106; github.com/shmsw25/Channel-LM-Prompting, `util.py`). Of the four templates that
each task has there, this is the second one: `main.py` sets `template_idx = 1`.
"""

from __future__ import annotations

from probe.datasets.definition import Definition
from probe.datasets.examples import Columns
from probe.datasets.hub import HubSource

_STARS = ("terrible", "bad", "okay", "good", "great")

PAPER_TASKS = {
    definition.name: definition
    for definition in (
        Definition(
            "sst2",
            template="{text} It was {label} .",
            label_words=("terrible", "great"),
            label_names=("negative", "positive"),
            source="Stanford Sentiment Treebank, two classes (Socher et al. 2013)",
            licence="unknown",
            hub=HubSource("SetFit/sst2"),
        ),
        Definition(
            "sst5",
            template="{text} It was {label} .",
            label_words=_STARS,
            label_names=("very negative", "negative", "neutral", "positive", "very positive"),
            source="Stanford Sentiment Treebank, five classes (Socher et al. 2013)",
            licence="unknown",
            hub=HubSource("SetFit/sst5"),
        ),
        Definition(
            "agnews",
            template="{text} Subject: {label}.",
            label_words=("World", "Sports", "Business", "Technology"),
            label_names=("World", "Sports", "Business", "Sci/Tech"),
            source="AG's News (Zhang et al. 2015)",
            licence="non-commercial use",
            hub=HubSource("fancyzhx/ag_news"),
        ),
        Definition(
            "subj",
            template="{text} It's all {label} .",
            label_words=("subjective", "objective"),
            source="Subjectivity data set 1.0 (Pang and Lee 2004)",
            licence="unknown",
            # By name: which of the two is 0 differs between copies of these rows.
            hub=HubSource("SetFit/subj", columns=Columns(label="label_text")),
        ),
        Definition(
            "trec",
            template="{text} Q: {label} :",
            label_words=("Description", "Entity", "Expression", "Human", "Location", "Number"),
            label_names=("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"),
            source="TREC questions, coarse classes (Li and Roth 2002)",
            licence="unknown",
            hub=HubSource(
                "CogComp/trec",
                # The hub's own conversion: the data set itself is a script, and no script is run.
                revision="refs/convert/parquet",
                columns=Columns(label="coarse_label"),
            ),
        ),
    )
}
