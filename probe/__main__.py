"""`python -m probe` is the `probe` command."""

from probe.cli.main import run

if __name__ == "__main__":
    run()
