"""The first hour: init, check-config, config show and schema."""

import json
import re
import subprocess
import sys


def test_init_writes_a_config_that_holds_and_names_the_next_steps(command, tmp_path):
    ended = command("init", tmp_path / "new")
    assert ended.code == 0
    assert "plumbline baseline capture quality" in ended.out
    assert command("check-config", "-c", tmp_path / "new" / "plumbline.yaml").code == 0


def test_init_never_replaces_a_config(command, tmp_path):
    (tmp_path / "plumbline.yaml").write_text("mine")
    ended = command("init", tmp_path)
    assert (ended.code, (tmp_path / "plumbline.yaml").read_text()) == (2, "mine")
    assert not (tmp_path / "cases.jsonl").exists()
    assert ended.err.startswith("error: ")


def test_init_keeps_cases_that_are_there(command, tmp_path):
    (tmp_path / "cases.jsonl").write_text("mine")
    ended = command("init", tmp_path)
    assert (ended.code, (tmp_path / "cases.jsonl").read_text()) == (0, "mine")
    assert "kept" in ended.out


def test_every_problem_of_config_and_case_files_comes_in_one_run(plumbline, site):
    site.config["endpoints"]["bot"]["modle"] = "x"
    site.config["probes"]["quality"]["every"] = 15
    site.cases = [{"id": "a", "prompt": "q", "target": ""}, {"id": "b", "prompt": "q2"}]
    site.write()
    ended = plumbline("check-config")
    assert ended.code == 3
    lines = ended.err.splitlines()
    assert any("endpoints.bot.modle" in line and "did you mean 'model'?" in line for line in lines)
    assert any("probes.quality.every" in line for line in lines)
    assert any(re.search(r"cases\.jsonl:1: target: ", line) for line in lines)
    assert any(re.search(r"cases\.jsonl:2: target: ", line) for line in lines)
    assert lines[-1] == "4 problems"


def test_case_files_are_checked_where_the_config_holds(plumbline, site):
    site.cases = [{"id": "a", "prompt": "q", "target": 1}, {"id": "a", "prompt": "other", "target": 1}]
    site.write()
    ended = plumbline("check-config", "-o", "json")
    assert ended.code == 3
    assert ended.json["ok"] is False
    assert [(p["line"], p["key"]) for p in ended.json["problems"]] == [(2, "id")]


def test_a_missing_config_names_the_cure(command, tmp_path):
    ended = command("check-config", "-c", tmp_path / "none.yaml")
    assert ended.code == 3
    assert "plumbline init" in ended.err


def test_a_plan_without_baselines_says_what_watches_instead(plumbline, site):
    assert "ADWIN" not in plumbline("check-config").out
    site.config["baseline"] = {"capture": False}
    site.write()
    told = plumbline("check-config").out
    assert "until `plumbline baseline capture quality` has made one, ADWIN watches" in told
    assert "which sees only large changes" in told


def test_the_plan_says_calls_dollars_budget_and_weak_points(plumbline, site):
    site.config["endpoints"]["bot"] |= {
        "url": "http://llm.example.org/v1",
        "api_key": "sk-very-secret",
        "price": {"input_per_mtok": 1, "output_per_mtok": 2},
        "limits": {"requests_per_minute": 1, "usd_per_day": 0.5},
    }
    site.config["probes"]["quality"] |= {"every": "1m", "cases_per_round": 3}
    site.config["probes"]["rare"] = {**site.config["probes"]["quality"], "every": "1d"}
    site.config["endpoints"]["idle"] = {"kind": "scripted"}
    site.write()
    ended = plumbline("check-config", "-o", "json")
    plan = ended.json
    assert (ended.code, plan["ok"]) == (0, True)
    (quality, rare) = plan["probes"]
    assert (quality["calls_per_day"], quality["usd_per_day"], rare["calls_per_day"]) == (4320, 0.5, 3)
    assert "over 10 streams on 1 endpoint" in plan["budget"]
    said = "\n".join(plan["warnings"])
    for part in (
        "bot/rare: 3 cases a round: a 5-point drop takes about",
        "longer than the time to the next one",
        "more than limits.usd_per_day",
        "the key travels unencrypted",
        "uplink.targets is empty",
        "no probe asks idle",
        "alerts go to the log only",
    ):
        assert part in said
    assert "sk-very-secret" not in ended.out + ended.err
    told = plumbline("check-config")
    assert "warning: endpoints.bot.url" in told.out
    assert told.out.endswith("the config holds\n")


def test_config_show_hides_secrets(plumbline, site):
    site.config["endpoints"]["bot"]["api_key"] = "sk-very-secret"
    site.write()
    ended = plumbline("config", "show")
    assert (ended.code, "sk-very-secret" in ended.out, "api_key" in ended.out) == (0, False, True)


def test_config_schema_is_json_schema(command):
    assert "endpoints" in command("config", "schema").json["properties"]


def test_usage_errors_end_with_2(command):
    assert command("probe").code == 2
    assert command("no-such-command").code == 2


def test_the_help_loads_nothing_heavy():
    heavy = "sqlalchemy", "pydantic", "aiohttp", "rich.table", "yaml", "scipy"
    script = (
        "import sys\nfrom monitor.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        f"    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(ended.stderr.replace("'", '"').strip().splitlines()[-1]) in ([], ["rich.table"])
