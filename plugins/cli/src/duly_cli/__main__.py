"""``python -m duly_cli``, where the script is not on the path."""

from duly_cli.app import main

if __name__ == "__main__":
    main()
