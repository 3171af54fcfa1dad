"""Debian's chromium on MLflow's pages: nothing foreign is loaded, and the view is a steady one."""

from __future__ import annotations

import os
import time
from pathlib import Path

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A steady view: model-training mode, no assistant panel, no promotion. Runs in the sandboxed frame too, hence the try.
SEED = """try {
  localStorage.setItem('mlflow.workflowType_v1', '"machine_learning"');
  localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
  localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
  localStorage.setItem('_mlflow_model_registry_promo_modal_dismissed_v1', 'true');
} catch (e) {}"""
# The switch "New model registry UI" turned off: the pages that know stages.
OLD_REGISTRY = """try {
  localStorage.setItem('_mlflow_user_setting_dismiss_next_model_registry_ui', 'true');
} catch (e) {}"""
SHOTS = Path(os.environ.get("AIMS_SCREENSHOTS", "screenshots"))


def open_page(browser, server, *, width=1440, scheme="light", javascript=True, seed=SEED):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=javascript
    )
    foreign = []
    ours = (server.uri, "blob:", "data:", "about:", "file:")

    def route(request_route):
        if request_route.request.url.startswith(ours):
            request_route.continue_()
        else:
            foreign.append(request_route.request.url)
            request_route.abort()

    context.route("**/*", route)
    context.add_init_script(seed)
    page = context.new_page()
    page.foreign = foreign
    return page


def go(page, server, place):
    page.goto("about:blank")
    page.goto(f"{server.uri}/#{place}")


def report_frame(page, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        for frame in page.frames:
            if frame.url.startswith("blob:"):
                frame.wait_for_load_state("domcontentloaded")
                return frame
        page.wait_for_timeout(200)
    raise AssertionError("no HTML preview on " + page.url)


def shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
