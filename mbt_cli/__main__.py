"""`python -m mbt_cli` is `mbt-cli`."""

from mbt_cli.cli import main

if __name__ == "__main__":
    main()
