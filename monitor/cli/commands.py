"""Every command by name, with its options. What a command does is imported when it is asked for, and only then.

Longer than most files because it is the one place where the whole command line can be read.
"""

import logging
from pathlib import Path
from typing import Annotated

import typer

from monitor import logs
from monitor.cli.options import (
    DEFAULT_CONFIG,
    ConfigFile,
    EndpointName,
    OneEndpoint,
    Output,
    OutputForm,
    ProbeName,
    Reason,
    SpeedBy,
)

_SETTINGS = {"help_option_names": ["-h", "--help"]}


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, context_settings=_SETTINGS)


app = typer.Typer(
    help="Watches deployed LLM endpoints and tells on-call when one gets worse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
config_group = _group("The config as Plumbline understands it.")
baseline_group = _group("What endpoints are compared with.")
incidents_group = _group("What was wrong, and who was told.")
notify_group = _group("The channels that are told.")
token_group = _group("Tokens for the port.")
db_group = _group("The store's schema.")
app.add_typer(config_group, name="config")
app.add_typer(baseline_group, name="baseline")
app.add_typer(incidents_group, name="incidents")
app.add_typer(notify_group, name="notify")
app.add_typer(token_group, name="token")
app.add_typer(db_group, name="db")


def _version(wanted: bool) -> None:
    if wanted:
        from monitor.version import VERSION

        typer.echo(f"plumbline {VERSION}")
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Watches deployed LLM endpoints and tells on-call when one gets worse."""
    logs.set_up(level=logging.ERROR)  # a command says itself what happens; the daemon sets up its own log


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path()) -> None:
    """Write a first plumbline.yaml and cases.jsonl; never over what is there."""
    from monitor.cli.starter import write_first_files

    write_first_files(folder)


@app.command()
def check_config(config: ConfigFile = DEFAULT_CONFIG, output: OutputForm = Output.TABLE) -> None:
    """Check the config and all case files; show what the plan costs and where it is weak."""
    from monitor.cli.check import check_config

    raise typer.Exit(check_config(config, output))


@app.command()
def run(
    config: ConfigFile = DEFAULT_CONFIG,
    migrate: Annotated[
        bool,
        typer.Option("--migrate", help="Bring PostgreSQL's schema up to date first; SQLite's always is."),
    ] = False,
    log_format: Annotated[logs.Form, typer.Option("--log-format", help="For people, or for programs.")] = (
        logs.Form.TEXT
    ),
) -> None:
    """Run the daemon. SIGHUP reloads the config, SIGTERM and Ctrl-C let rounds end and stop."""
    from monitor.cli.daemon import run

    run(config, migrate=migrate, form=log_format)


@app.command()
def demo() -> None:
    """Watch a simulated endpoint get worse, for about two minutes; DEMO_FAULT, SEED and DEMO_EXIT steer it."""
    from monitor.demo.story import tell

    raise typer.Exit(tell())


@app.command()
def probe(
    probe: ProbeName,
    endpoint: EndpointName = None,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """Run one round now and show each reply's score; exit 1 where an attempt failed."""
    from monitor.cli.once import probe_once

    raise typer.Exit(probe_once(config, probe, endpoint, output))


@app.command()
def status(
    endpoint: Annotated[
        str | None, typer.Argument(metavar="[ENDPOINT]", help="With --speed: only this one.")
    ] = None,
    speed: Annotated[bool, typer.Option("--speed", help="Speed and cost, in full.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="The last so long; by default 24h.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From a time, like 2026-03-02T12:00 (UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", "--until", metavar="TIME", help="To a time.")] = None,
    by: Annotated[
        SpeedBy | None, typer.Option("--by", help="Told apart by this; by default endpoints only.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only cases with this tag.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show endpoints, verdicts and open incidents; exit 1 where an incident is open.

    With --speed: latency, time to first token, tokens a second and cost of every request, over any period.
    """
    narrowed = {
        "ENDPOINT": endpoint,
        "--since": since,
        "--from": start,
        "--to": end,
        "--by": by,
        "--tag": tag,
    }
    if speed:
        from monitor.cli.speed import Wish, show_speed

        wish = Wish(since=since, start=start, end=end, by=by or SpeedBy.ENDPOINT, tag=tag, endpoint=endpoint)
        raise typer.Exit(show_speed(config, wish, output))
    if given := [name for name, value in narrowed.items() if value is not None]:
        raise typer.BadParameter(f"{given[0]} is for speed and cost; add --speed")
    from monitor.cli.state import show_status

    raise typer.Exit(show_status(config, output))


@config_group.command("show")
def config_show(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Print the whole config with every default; secrets are hidden."""
    from monitor.cli.configs import show_config

    show_config(config)


@config_group.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the config, for editors."""
    from monitor.cli.configs import show_schema

    show_schema()


@baseline_group.command("capture")
def baseline_capture(
    probe: ProbeName,
    endpoint: EndpointName = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept with it.")
    ] = "asked for by hand",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Capture a new baseline: says calls and dollars first, goes on where it was stopped."""
    from monitor.cli.capturing import capture_baselines

    raise typer.Exit(capture_baselines(config, probe, endpoint, yes=yes, reason=reason))


_Version = Annotated[int | None, typer.Option("--version", metavar="N", help="Which version.")]


@baseline_group.command("show")
def baseline_show(
    probe: ProbeName,
    endpoint: EndpointName = None,
    version: _Version = None,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show a version and what it knows: by default the one that judges."""
    from monitor.cli.baseline import show_version

    show_version(config, probe, endpoint, version, output)


@baseline_group.command("list")
def baseline_list(
    probe: ProbeName,
    endpoint: EndpointName = None,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """List every version, newest first."""
    from monitor.cli.baseline import list_versions

    list_versions(config, probe, endpoint, output)


@baseline_group.command("accept")
def baseline_accept(
    probe: ProbeName,
    endpoint: OneEndpoint = None,
    version: _Version = None,
    reason: Reason = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Accept a captured version: by default the newest provisional one. It judges from then on."""
    from monitor.cli.baseline import accept

    accept(config, probe, endpoint, version, reason)


@baseline_group.command("rollback")
def baseline_rollback(
    probe: ProbeName,
    endpoint: OneEndpoint = None,
    reason: Reason = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Let the accepted version before this one judge again."""
    from monitor.cli.baseline import roll_back

    roll_back(config, probe, endpoint, reason)


@incidents_group.command("list")
def incidents_list(
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """List the open incidents."""
    from monitor.cli.incident import list_incidents

    list_incidents(config, every=every, limit=limit, output=output)


@incidents_group.command("show")
def incidents_show(
    id: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show one incident: what moved, every step, every message and why."""
    from monitor.cli.incident import show_incident

    show_incident(config, id, output)


@notify_group.command("test")
def notify_test(
    channel: Annotated[
        str | None, typer.Argument(metavar="[CHANNEL]", help="Name of a channel; by default all.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """Send a marked test notice to one channel or all; exit 1 where one was not told. Nothing is stored."""
    from monitor.cli.notify import tell_channels

    raise typer.Exit(tell_channels(config, channel, output))


@token_group.command("create")
def token_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    scope: Annotated[
        str, typer.Option("--scope", metavar="SCOPE,...", help="read, ingest, review, operate, admin.")
    ],
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make a token and print it, once."""
    from monitor.cli.token import create

    create(config, name, scope, output)


@token_group.command("list")
def token_list(config: ConfigFile = DEFAULT_CONFIG, output: OutputForm = Output.TABLE) -> None:
    """List tokens, without what they read."""
    from monitor.cli.token import list_tokens

    list_tokens(config, output)


@token_group.command("revoke")
def token_revoke(
    name_or_id: Annotated[str, typer.Argument(metavar="NAME|ID")], config: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Make a token useless, within five seconds also to a daemon that runs."""
    from monitor.cli.token import revoke

    revoke(config, name_or_id)


@app.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    output: OutputForm = Output.TABLE,
) -> None:
    """List who did what, newest first: tokens, logins, reloads through the port, baselines."""
    from monitor.cli.audit import list_audit

    list_audit(config, limit=limit, output=output)


@db_group.command("upgrade")
def db_upgrade(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Bring the store's schema up to date; SQLite is copied first."""
    from monitor.cli.database import upgrade

    upgrade(config)


@db_group.command("check")
def db_check(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Say whether the schema is current; exit 1 where it is not."""
    from monitor.cli.database import check

    raise typer.Exit(check(config))
