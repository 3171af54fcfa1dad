"""An application that serves an observed model in threads, and writes down what it was asked and what it answered.

``observed_app.py TRACKING_URI MODEL_URI CONFIG SPOOL LOG EVERY_ROWS``
"""

import os
import random
import sys
import threading
import warnings
from pathlib import Path

from aims_mlflow import observe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "monitoring"))
from observe_kit import Rule, rows


def main(tracking_uri, model_uri, config, spool, log, every_rows):
    warnings.simplefilter("ignore")
    model = observe(
        Rule(), model_uri=model_uri, config=config, tracking_uri=tracking_uri, spool=spool,
        every_rows=int(every_rows), closes=False,
    )  # fmt: skip
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    frames = [rows(count, seed=count) for count in (1, 2, 5, 20, 50)]

    def serve(seed):
        choose = random.Random(seed)
        while True:
            frame = choose.choice(frames)
            os.write(descriptor, f"asked {len(frame)}\n".encode())
            model.predict(frame)
            os.write(descriptor, f"answered {len(frame)}\n".encode())

    threads = [threading.Thread(target=serve, args=(os.getpid() + n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main(*sys.argv[1:])
