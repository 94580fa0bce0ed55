"""One file per tool that writes prompts: how its files are recognised and read."""
