"""A worked example: an organisation with two AI systems, from ``aims init`` to the gap report.

    python examples/organisation/run.py [FOLDER]        (FOLDER: ./aims-example; it must not exist yet)

Every line ``aims(...)`` below is the command you would type in a shell, with its folder as working folder. They run in
one process here because that saves three seconds for each; the training scripts run as processes of their own. No
network is used, and nothing is written outside the folder.
"""

import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETTINGS = {
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    "XDG_STATE_HOME": ".state",  # keys, anchors and the spool of aims-mlflow, otherwise under ~/.local/state
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::UserWarning",
    "NO_COLOR": "1",
}
UNSET = ("AIMS_CONFIG", "AIMS_ANCHORS", "AIMS_SPOOL_DIR", "AIMS_GATE_KEY", "AIMS_SIGNING_KEY", "MLFLOW_REGISTRY_URI")
SCREENING, WINE = "--config screening/aims.yaml", "--config wine/aims.yaml"


def aims(command: str, *, leaves: int = 0) -> None:
    """Run a command as the shell would; ``leaves`` is the exit code it has to leave with."""
    from aims_mlflow.cli import main

    print(f"\n$ aims {command}", flush=True)
    try:
        main(shlex.split(command))
    except SystemExit as ending:
        if ending.code != leaves:
            raise SystemExit(f"aims {command}: left with {ending.code}, {leaves} was expected") from ending
    sys.stdout.flush()


def script(config: str, *command: str) -> None:
    """Run a script of a system with its aims.yaml."""
    print(f"\n$ AIMS_CONFIG={config} python {' '.join(command)}", flush=True)
    subprocess.run([sys.executable, *command], check=True, env=os.environ | {"AIMS_CONFIG": config})


def step(title: str) -> None:
    """Print a heading."""
    print(f"\n\n{title}\n{'=' * len(title)}", flush=True)


def day(ahead: int) -> str:
    """The date so many days from now."""
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()


def declare() -> None:
    """Declare and classify both systems."""
    step("1. Say what the systems are")
    for folder, system in (("screening", "benefit-screening"), ("wine", "wine-sorting")):
        aims(f"init --path {folder}/aims.yaml --system-id {system}")
        shutil.copy(HERE / folder / "aims.yaml", f"{folder}/aims.yaml")
        print(f"  ... {folder}/aims.yaml is filled in")
        aims(f"check {folder}/aims.yaml")
    commit()
    aims(f"systems declare {SCREENING}")
    aims(f"systems classify --answers screening/answers.yaml --record benefit-screening {SCREENING}")
    aims(f"systems declare {WINE}")
    aims(f"systems classify --answers wine/answers.yaml --record wine-sorting {WINE}")


def commit() -> None:
    """The code under version control, so that each run names the commit it was made with."""
    Path(".gitignore").write_text("mlflow.db*\nmlruns/\nout/\n.state/\n__pycache__/\n", "utf-8")
    who = ["-c", "user.name=Data science", "-c", "user.email=data-science@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "Two AI systems"]):
        subprocess.run(["git", *command], check=True)


def train() -> None:
    """Train, and move one version of each system through the gate."""
    step("2. Train, and release through the gate")
    script("screening/aims.yaml", "screening/train.py")
    script("wine/aims.yaml", "wine/train.py")
    aims(f"gate benefit-screening 1 --to champion {SCREENING}", leaves=1)
    for person in ("Model validation", "Head of employment services"):
        aims(f"approve benefit-screening 2 --to champion --person '{person}' --reason 'Report read, limits are right'")
    aims(f"promote benefit-screening 2 --to champion --reason 'Within its limits in every group' {SCREENING}")
    aims(f"promote wine-sorting 1 --to champion --reason 'Within its limits' {WINE}")
    aims("systems")


def look_back() -> None:
    """Assess the gap for the first time."""
    step("3. How far it is to the standard, before anything else is on record")
    aims("gap --record --owner 'Head of AI' --rows 5", leaves=1)


def file_records() -> None:
    """File what people have to say: records, risks, the impact assessment."""
    step("4. The management system: records, risks, impact")
    aims("attest ai_policy --template")
    aims("attest --from records")
    risks()
    aims(f"impact new --from screening/impact.yaml --model models:/benefit-screening@champion {SCREENING}")


def risks() -> None:
    """Open four risks, treat them, and have three accepted."""
    for name in ("group-quarters", "unequal-lists", "leaning-on-the-list", "wrong-order"):
        aims(f"risk open --from risks/{name}.yaml")
    aims(
        "risk treat group-quarters --how reduce --action 'Look at each batch for drift before a list goes out'"
        " --action 'Name uses out of bounds in aims.yaml and in the instructions'"
        " --control A.9.4 --control A.6.2.6 --control A.7.4 --residual 1 4"
        " --results 'The look stopped a list of group quarters before a letter went out'"
    )
    aims("risk accept group-quarters --by 'Head of employment services'")
    aims(
        "risk treat unequal-lists --how reduce --action 'Hold differences between groups against limits'"
        " --control A.6.2.4 --control A.5.4 --control A.4.3 --residual 2 3"
        " --results 'The version in service is within its limits'"
    )
    aims("risk accept unequal-lists --by 'Management board'")
    aims("risk treat wrong-order --how accept --control A.7.4 --residual 2 1 --results 'No finding rests on the order'")
    aims("risk accept wrong-order --by 'Head of food laboratory'")
    aims(  # leaning-on-the-list is planned, not done: the gap report will say so
        "risk treat leaning-on-the-list --how reduce --action 'Yearly exercise in overruling a list'"
        " --control A.9.2 --control A.9.3 --control A.4.6 --residual 2 3"
    )


def operate() -> None:
    """Watch a batch; handle an incident and what the audit found."""
    step("5. In operation: a month's batch, and a list nobody should have asked for")
    script("screening/aims.yaml", "screening/monitor.py")
    person = "--person 'Case worker on duty'"
    aims(
        "incident open 'A list of residents of group quarters was made' --severity minor --system benefit-screening"
        f" --owner 'Head of employment services' {person}"
    )
    aims(
        "incident update INC-1 --contained 'List withdrawn before a letter went out'"
        f" --cause 'The form for ordering a list let one choose group quarters' {person}"
    )
    aims(f"incident notify INC-1 --to users --kind final --reference 'Note to all case workers' {person}")
    aims(f"incident act INC-1 --what 'Take group quarters off the form' --owner 'IT operations' --due {day(14)}")
    aims("incident act INC-1 --done 1")
    aims("incident check INC-1 --effective --by 'Model validation' --how 'Tried to order such a list: refused'")
    aims("incident close INC-1")
    nonconformities()
    aims(
        "incident review --owner 'Risk office'"
        " --statement 'All of the log was looked through: one incident, closed, no notice overdue.'"
    )
    aims(
        "nonconformity review --owner 'Risk office'"
        " --statement 'All of the log was looked through: one closed, one open and within its time.'"
    )


def nonconformities() -> None:
    """One that is closed, one that is not."""
    aims(
        "nonconformity open 'No deputy of the risk owner was named' --row 5.3 --row A.3.2 --found-by 'internal audit'"
        " --owner 'Risk office' --correction 'A deputy was named'"
    )
    aims("nonconformity update NC-1 --cause 'The list of roles had no column for deputies'")
    aims(f"nonconformity act NC-1 --what 'A deputy for each role' --owner 'Staff office' --due {day(14)}")
    aims("nonconformity act NC-1 --done 1")
    aims("nonconformity check NC-1 --effective --by 'Internal audit' --how 'Each role of the list has a deputy'")
    aims("nonconformity close NC-1")
    aims(
        "nonconformity open 'New case workers had no exercise yet' --row 7.3 --row A.4.6 --found-by 'internal audit'"
        " --owner 'Staff office' --correction 'They work with a colleague'"
    )
    aims(f"nonconformity act NC-2 --what 'Exercise in the first quarter' --owner 'Staff office' --due {day(60)}")


def tell() -> None:
    """Judge both versions by all that is on record, and write the pages."""
    step("6. What is known now, for whoever asks")
    Path("out").mkdir()
    champion = "models:/benefit-screening@champion"
    aims(
        f"card {champion} --record technical_documentation --record user_information"
        f" --owner 'Head of AI' --approver 'Model validation' --out out/card.html {SCREENING}"
    )
    aims(f"bom {champion} --log --out out/bom.cdx.json {SCREENING}")
    aims(f"assess {champion} --fail-on fail {SCREENING}")  # with all that is on record by now
    aims(f"assess models:/wine-sorting@champion --fail-on fail {WINE}")
    aims("soa record soa.yaml")
    aims(f"soa record wine/soa.yaml {WINE}")
    aims(f"refresh --ical out/due.ics --within 100 {SCREENING}")
    aims("soa check", leaves=1)
    aims("gap --record --owner 'Head of AI' --rows 0", leaves=1)
    aims("records verify")
    aims("verify benefit-screening")
    aims("gap --out out/gap.html", leaves=1)
    aims("soa --out out/soa.html")
    aims("soa --out out/soa.xlsx")
    aims(f"annex-iv --system benefit-screening --out out/annex-iv.html {SCREENING}")
    aims(f"crosswalk eu_ai_act --system benefit-screening --out out/crosswalk.html {SCREENING}")
    aims(
        "requests --with iso27001_2022 --with iso9001_2015 --system benefit-screening --out out/requests.html"
        f" {SCREENING}"
    )


def conclude() -> None:
    """The headline, and what to do next."""
    step("7. Where it stands")
    aims("gap --rows 3", leaves=1)
    print("\nLook at: " + ", ".join(sorted(f"out/{page.name}" for page in Path("out").iterdir())))


def run(folder: Path) -> None:
    """Make the folder, and do everything in it."""
    if folder.exists():
        raise SystemExit(f"{folder} is there already: name another folder, or remove it")
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("aims.yaml", "run.py", "README.md", "__pycache__"))
    os.chdir(folder)
    for name in UNSET:
        os.environ.pop(name, None)
    os.environ.update(SETTINGS, XDG_STATE_HOME=str(Path(".state").absolute()))
    for part in (declare, train, look_back, file_records, operate, tell, conclude):
        part()


if __name__ == "__main__":
    run(Path(sys.argv[1] if len(sys.argv) > 1 else "aims-example"))
