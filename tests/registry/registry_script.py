"""One script over every public method of MLflow's registry, good and bad calls, and what each of them gave."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.abstract_store import AbstractStore

MAJOR = int(mlflow.__version__.split(".")[0])
PUBLIC = {name for name in dir(AbstractStore) if not name.startswith("_")}
_TIMES = re.compile(r"(timestamp|_time|created_at|updated_at)$")


def plain(value: Any, names: dict[str, str]) -> Any:
    """The value without what differs from run to run: times and ids."""
    if isinstance(value, str):
        for real, word in names.items():
            value = value.replace(real, word)
        return value
    if isinstance(value, int | float | bool | type(None)):
        return value
    if isinstance(value, dict):
        return {plain(k, names): plain(v, names) for k, v in value.items() if not _TIMES.search(str(k))}
    if isinstance(value, list | tuple | set):
        items = [plain(v, names) for v in value]
        token = [bool(value.token)] if hasattr(value, "token") else []
        return [type(value).__name__, *token, *items]
    shown = (
        {k: plain(v, names) for k, v in vars(value).items() if not _TIMES.search(k)}
        if hasattr(value, "__dict__")
        else {}
    )
    return {"is": type(value).__name__, **shown} if shown else str(value)


class Recorder:
    """Stands for a store; notes every call with its result or error."""

    def __init__(self, store: Any, names: dict[str, str]) -> None:
        self.store = store
        self.names = names
        self.said: list[tuple[Any, ...]] = []
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        self.used.add(name)
        if not callable(found):
            self.said.append((name, "is", plain(found, self.names)))
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = found(*args, **kwargs)
            except MlflowException as error:
                text = plain(str(error.message), self.names)
                self.said.append((name, len(self.said), "MlflowException", error.error_code, text))
                return None
            except Exception as error:
                self.said.append((name, len(self.said), type(error).__name__, plain(str(error), self.names)))
                return None
            self.said.append((name, len(self.said), "gave", plain(result, self.names)))
            return result

        return call


def run(store: Any, client: MlflowClient) -> Recorder:
    """The script. Nothing here may know whether the store is gated."""
    names: dict[str, str] = {}
    s = Recorder(store, names)
    experiment = client.create_experiment("script")
    runs = [client.create_run(experiment) for _ in range(2)]
    for number, one in enumerate(runs):
        names[one.info.run_id] = f"RUN{number}"
        client.log_text(one.info.run_id, "flavors: {}\n", "model/MLmodel")
    first, second = (one.info.run_id for one in runs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _models(s, first, second)
        _moves(s)
        _wrong(s)
        if MAJOR >= 3:
            _prompts(s, first, client)
            _webhooks(s)
        _endings(s)
    return s


def _models(s: Recorder, first: str, second: str) -> None:
    s.create_registered_model("m", [RegisteredModelTag("k", "v"), RegisteredModelTag("aims.risk", "high")], "text")
    s.create_registered_model("m")
    s.create_registered_model("a'b\"c")
    s.get_registered_model("m")
    s.update_registered_model("m", "other text")
    s.create_model_version("m", f"runs:/{first}/model", first, [ModelVersionTag("aims.status", "pass")], "link", "text")
    s.create_model_version(name="m", source=f"runs:/{second}/model", run_id=second, tags=[ModelVersionTag("t", "1")])
    s.create_model_version("m", f"runs:/{first}/model", first)
    s.get_model_version("m", "1")
    s.get_model_version_download_uri("m", "1")
    s.update_model_version("m", "1", "new text")
    s.set_model_version_tag("m", "1", ModelVersionTag("note", "x"))
    s.set_model_version_tag("m", "1", ModelVersionTag("aims.status", "pass"))
    s.set_model_version_tag("m", "1", ModelVersionTag("AIMS.gate", "{}"))
    s.delete_model_version_tag("m", "1", "aims.status")
    s.delete_model_version_tag("m", "1", "never")
    s.set_registered_model_tag("m", RegisteredModelTag("aims.risk", "minimal"))
    s.set_registered_model_tag("m", RegisteredModelTag("mlflow.prompt.is_prompt", "false"))
    s.delete_registered_model_tag("m", "aims.risk")
    source = s.store.get_model_version("m", "1")
    s.copy_model_version(source, "copied")
    s.copy_model_version(source, "m")
    s.get_model_version("copied", "1")


def _moves(s: Recorder) -> None:
    for alias, version in (("champion", "1"), ("champion", "2"), ("other", 1), ("champion", "2")):
        s.set_registered_model_alias("m", alias, version)
    s.get_model_version_by_alias("m", "champion")
    s.get_model_version_by_alias("m", "nobody")
    s.transition_model_version_stage("m", "1", "Production", False)
    s.transition_model_version_stage("m", "2", "production", True)
    s.transition_model_version_stage("m", "3", "Staging", archive_existing_versions=False)
    s.transition_model_version_stage("m", "3", "None", True)
    s.get_latest_versions("m")
    s.get_latest_versions("m", ["Production"])
    s.search_model_versions("name='m'")
    s.search_model_versions("tags.t = '1'", max_results=1)
    s.search_registered_models("name LIKE 'm'", max_results=1, order_by=["name ASC"])
    s.get_registered_model("m")
    s.delete_registered_model_alias("m", "other")
    s.delete_registered_model_alias("m", "other")
    s.transition_model_version_stage("m", "2", "Archived", False)


def _wrong(s: Recorder) -> None:
    for name, version in (
        ("m", "99"),
        ("absent", "1"),
        ("m", "one"),
        ("", "1"),
        (None, "1"),
        ("m", None),
        ("a/b", "1"),
    ):
        s.set_registered_model_alias(name, "champion", version)
        s.transition_model_version_stage(name, version, "Production", True)
        s.set_model_version_tag(name, version, ModelVersionTag("aims.vsa", "no"))
        s.delete_model_version_tag(name, version, "aims.vsa")
        s.delete_model_version(name, version)
        s.get_model_version(name, version)
    for alias in ("a b", "", None, "latest", "v1", "x" * 300):
        s.set_registered_model_alias("m", alias, "1")
        s.delete_registered_model_alias("m", alias)
    s.delete_registered_model_alias("absent", "champion")
    s.transition_model_version_stage("m", "1", "Nowhere", False)
    s.transition_model_version_stage("m", "1", None, False)
    s.create_model_version("absent", "runs:/x/model")
    s.create_model_version("m", "models:/absent/1")
    s.create_model_version("m", None)
    s.set_model_version_tag("m", "1", ModelVersionTag("", "x"))
    s.set_registered_model_tag("absent", RegisteredModelTag("aims.risk", "x"))
    s.delete_registered_model_tag("absent", "aims.risk")
    s.delete_registered_model("absent")
    s.rename_registered_model("absent", "n")
    s.rename_registered_model("m", "copied")
    s.rename_registered_model("m", "")
    s.set_registered_model_alias("m")
    s.set_registered_model_alias("m", "champion", "1", "more")
    s.create_model_version()


def _prompts(s: Recorder, run_id: str, client: MlflowClient) -> None:
    from mlflow.entities.model_registry import PromptVersion

    s.create_prompt("p", "text", {"k": "v"})
    s.create_prompt_version("p", "Hello {{x}}", "first", {"aims.status": "pass"})
    s.create_prompt_version("p", "Hi {{x}}")
    s.create_prompt_version("absent", "Hi")
    s.get_prompt("p")
    s.get_prompt("absent")
    s.get_prompt_version("p", 1)
    s.set_prompt_alias("p", "champion", 1)
    s.set_prompt_alias("p", "champion", 9)
    s.get_prompt_version_by_alias("p", "champion")
    s.set_prompt_tag("p", "aims.risk", "high")
    s.delete_prompt_tag("p", "aims.risk")
    s.set_prompt_version_tag("p", 1, "aims.status", "pass")
    s.delete_prompt_version_tag("p", 1, "aims.status")
    s.search_prompts()
    s.search_prompt_versions("p")
    s.link_prompt_version_to_run("p", 1, run_id)
    s.link_prompt_version_to_model("p", 1, "m-absent")
    s.link_prompts_to_trace([PromptVersion("p", 1, "Hello {{x}}")], "tr-absent")
    s.delete_prompt_alias("p", "champion")
    s.delete_prompt_version("p", 1)
    s.delete_prompt("p")
    s.delete_prompt("absent")


def _webhooks(s: Recorder) -> None:
    from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

    event = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
    made = s.create_webhook("hook", "https://example.com/hook", [event])
    number = made.webhook_id if made is not None else "absent"
    s.names[str(number)] = "HOOK"
    s.said[-1] = (*s.said[-1][:3], plain(made, s.names))
    s.get_webhook(number)
    s.list_webhooks(10, None)
    s.list_webhooks_by_event(event, 10, None)
    s.update_webhook(number, description="text")
    s.test_webhook("absent", None)
    s.delete_webhook(number)
    s.delete_webhook(number)


def _endings(s: Recorder) -> None:
    if "supports_workspaces" in PUBLIC:
        s.supports_workspaces  # noqa: B018
    s.delete_model_version("m", "3")
    s.get_model_version("m", "3")
    s.rename_registered_model("m", "n")
    s.get_registered_model("n")
    s.search_model_versions("name='n'")
    s.delete_registered_model("n")
    s.get_registered_model("n")
    s.delete_registered_model("copied")
    s.search_registered_models("name = 'n'")


def signatures(store: Any) -> dict[str, str]:
    """How each public method may be called."""
    found = {}
    for name in PUBLIC:
        member = inspect.getattr_static(type(store), name)
        if callable(member):
            found[name] = str(inspect.signature(member))
    return found
