"""Exit codes, errors, start-up: what a shell and CI see of the real command."""

import json
import os
import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

from aims_mlflow import __version__
from aims_mlflow.assessment import Overall
from aims_mlflow.cli import aims
from aims_mlflow.cli.assessing import exit_code
from aims_mlflow.cli.exits import FailClosedGroup, debug_option
from aims_mlflow.errors import AimsError, ConfigError


def shell(*arguments, code=None, **environment):
    start = ["-c", code] if code else ["-m", "aims_mlflow"]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_module_and_the_script_are_the_same_command():
    done = shell("--version")
    assert (done.returncode, done.stdout.split()[-1]) == (0, __version__)


@pytest.mark.parametrize("wrong", [["nonsense"], ["check", "--nonsense"], ["assess"], []])
def test_wrong_use_could_not_run(wrong):
    assert shell(*wrong).returncode == 2


def test_the_exit_code_of_check_reaches_the_shell(tmp_path):
    assert shell("check").returncode == 2
    (tmp_path / "aims.yaml").write_text("system: {id: a}\n")
    assert shell("check").returncode == 0
    (tmp_path / "aims.yaml").write_text("system: {di: a}\n")
    assert shell("check").returncode == 1


@pytest.mark.parametrize("overall", list(Overall))
def test_only_a_pass_is_0_and_what_could_not_be_judged_is_2(overall):
    expected = {Overall.PASS: 0, Overall.ERROR: 2, Overall.NOT_ASSESSED: 2}.get(overall, 1)
    assert exit_code(overall) == expected


@pytest.mark.parametrize("command", [["--help"], ["check"], ["register"], ["register", "--json"], ["check", "--json"]])
def test_light_commands_import_no_mlflow_and_no_engine(tmp_path, command):
    (tmp_path / "aims.yaml").write_text("system: {id: a}\n")
    code = (
        "import sys\nfrom aims_mlflow.cli import aims\n"
        f"try: aims.main({command!r})\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = [m for m in ('mlflow', 'pandas', 'numpy', 'great_expectations', 'evidently') if m in sys.modules]\n"
        "print('heavy:', heavy)\n"
    )
    done = shell(code=code)
    assert done.stdout.strip().endswith("heavy: []"), done.stderr


def test_light_commands_start_light(tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: a}\n")
    for command in ("--help", "check", "register"):
        used = min(_cpu(command) for _ in range(3))
        assert used < 1.0, (command, used)


def _cpu(command):
    before = os.times()
    shell(command)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def _broken(error):
    @click.group(cls=FailClosedGroup)
    @debug_option
    def group():
        pass

    @group.command()
    @debug_option
    def work():
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            AimsError("no [red]run[/red]", where="abc", remedy="Look again."),
            "error: abc: no [red]run[/red]\n  Look again.\n",
        ),
        (RuntimeError("odd\x1b[31m"), "error: could not run: RuntimeError: odd\\x1b[31m\n  --debug shows where.\n"),
        (KeyboardInterrupt(), "error: interrupted\n"),
        (
            ConfigError("2 mistakes", problems=("a:1: x", "a:2: y")),
            "error: 2 mistakes in the declaration\n  a:1: x\n  a:2: y\n",
        ),
    ],
)
def test_whatever_breaks_is_told_on_stderr_and_ends_with_2(error, said):
    done = CliRunner().invoke(_broken(error), ["work"])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize("arguments", [["--debug", "work"], ["work", "--debug"]])
@pytest.mark.parametrize("error", [AimsError("odd"), RuntimeError("odd")])
def test_debug_shows_the_traceback(arguments, error):
    done = CliRunner().invoke(_broken(error), arguments)
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert "in work" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="a pipe closed early")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_early_does_not_change_the_exit_code(options):
    writer = subprocess.Popen(
        [sys.executable, "-m", "aims_mlflow", "register", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    writer.stdout.close()
    errors = writer.stderr.read()
    writer.stderr.close()
    assert writer.wait(timeout=60) == 0, errors
    assert errors == b""


def test_output_that_cannot_show_a_sign_gets_an_escape_and_no_failure(tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {größe: 1}\n", encoding="utf-8")
    done = shell("check", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert "gr\\xf6\\xdfe" in done.stdout
    assert shell("register", PYTHONIOENCODING="ascii", PYTHONUTF8="0").returncode == 0
    json.loads(shell("register", "--json", PYTHONIOENCODING="ascii", PYTHONUTF8="0").stdout)


def test_colour_is_off_with_no_color_and_in_pipes():
    coloured = "from aims_mlflow.cli import terminal as t; t.say(t.badge('✗', 'not satisfied', 'bad'))"
    plain = shell(code=coloured)
    assert plain.stdout == "✗ not satisfied\n"
    forced = shell(code=coloured, FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b[" in forced.stdout
    quiet = shell(code=coloured, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color")
    assert "31m" not in quiet.stdout
    assert "35m" not in quiet.stdout
    assert "not satisfied" in quiet.stdout


def test_progress_is_not_shown_where_there_is_no_terminal():
    code = (
        "from aims_mlflow.cli import terminal as t\n"
        "with t.working('[red]step') as step:\n    step('next')\n    print('chatter of a library')\nprint('result')"
    )
    done = shell(code=code)
    assert (done.stdout, done.stderr) == ("result\n", "chatter of a library\n")


def test_help_of_every_command_names_its_options():
    began = time.process_time()
    for name, command in aims.commands.items():
        done = CliRunner().invoke(aims, [name, "--help"])
        assert done.exit_code == 0
        assert "--debug" in done.stdout
        assert command.help
    assert {"init", "check", "assess", "report", "register", "flush", "demo"} <= set(aims.commands)
    assert {"gate", "promote", "approve", "reject", "waive", "history", "verify", "reconcile"} <= set(aims.commands)
    assert time.process_time() - began < 5
