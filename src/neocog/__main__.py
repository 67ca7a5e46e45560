"""`python -m neocog`, for machines on which the command is not on the path."""

from neocog.cli import main

if __name__ == "__main__":
    main()
