"""The training methods: `methods/NAME.py` holds the module of one.

To add one, write `methods/NAME.py` with `build(model, config, start) -> PromptModule`, and name it
in `probe.requests.train_methods`.
"""
