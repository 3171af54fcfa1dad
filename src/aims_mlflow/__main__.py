"""``python -m aims_mlflow``: the command ``aims`` without the script."""

from aims_mlflow.cli import main

if __name__ == "__main__":
    main()
