"""`python -m monitor` is `plumbline`."""

from monitor.cli import main

if __name__ == "__main__":
    main()
